// Chart: points, step lines and guide lines between two axes, as one SVG element. The page of a
// tuning is made of these. Colours come from the style sheet of the page, by the class that each
// series names; what the numbers mean is not known here.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hone {

// The multiples of 1, 2 or 5 times a power of ten between `from` and `to`, with at most `steps_max`
// steps between them.
std::vector<double> RoundTicks(double from, double to, int steps_max);
// The same for a logarithmic axis: powers of ten and, where these are few, twice and five times
// them. Both ends are positive.
std::vector<double> LogTicks(double from, double to, int steps_max);
// "0.05", "200", "1e+06": no more digits than a tick has.
std::string TickText(double value);

struct ChartAxis {
  std::string title;  // with its unit
  bool log = false;
  bool from_zero = false;  // the axis begins at 0, whatever the data
};

struct ChartPoint {
  double x = 0;
  double y = 0;
  std::string title;       // shown when pointed at
  std::string label = "";  // written beside it, where there is room
  std::string link = "";   // where a click leads
  double radius = 2.5;     // in units of the chart
};

class Chart {
 public:
  struct Size {
    int width = 340;
    int height = 230;
  };
  // `description`: for those who cannot see it.
  Chart(std::string description, ChartAxis x, ChartAxis y, Size size = {340, 230});

  // Both axes get the same range.
  void MakeAxesEqual() { equal_axes_ = true; }

  // On a logarithmic axis, what is not positive is left out. `style`: a class of the style sheet.
  void AddPoints(std::vector<ChartPoint> points, const std::string& style);
  // Crosses along the upper edge: what has an x and no y.
  void AddCrosses(std::vector<ChartPoint> points, const std::string& style);
  // From each point level to the x of the next, then to its y. In order of x.
  void AddSteps(std::vector<std::pair<double, double>> points, const std::string& style);
  // A level across the chart; its label stands above or below it, at the right end.
  enum class Side { kAbove, kBelow };
  void AddLevel(double y, const std::string& label, Side side, const std::string& style);
  // A straight line between two points, cut off at the edges. It does not widen the axes.
  void AddGuide(std::pair<double, double> from, std::pair<double, double> to,
                const std::string& label, const std::string& style);

  std::string ToSvg() const;

 private:
  struct Range {
    double from = 0;
    double to = 1;
  };
  struct Points {
    std::vector<ChartPoint> points;
    std::string style;
    bool crosses = false;
  };
  struct Steps {
    std::vector<std::pair<double, double>> points;
    std::string style;
  };
  struct Level {
    double y = 0;
    std::string label;
    Side side = Side::kAbove;
    std::string style;
  };
  struct Guide {
    std::pair<double, double> from, to;
    std::string label, style;
  };
  class Painter;

  void Widen(const ChartAxis& axis, double value, std::optional<Range>* range);
  static Range Padded(const ChartAxis& axis, const std::optional<Range>& data);

  const std::string description_;
  const ChartAxis x_;
  const ChartAxis y_;
  const Size size_;
  bool equal_axes_ = false;
  std::optional<Range> x_data_;
  std::optional<Range> y_data_;
  std::vector<Points> points_;
  std::vector<Steps> steps_;
  std::vector<Level> levels_;
  std::vector<Guide> guides_;
};

}  // namespace hone
