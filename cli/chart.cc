// The data widen the two axes as they are added; painting then maps data to the plot, a rectangle
// inside the margins, and writes axes, guides, steps and points in this order, so that the data lie
// on top.
#include "cli/chart.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "cli/markup.h"

namespace hone {
namespace {

constexpr double kLeft = 48;  // margins of the plot, in units of the chart
constexpr double kRight = 12;
constexpr double kTop = 14;
constexpr double kBottom = 38;
constexpr double kUnitsPerTickX = 55;
constexpr double kUnitsPerTickY = 30;
constexpr double kCross = 2.5;  // half its width

bool IsShown(const ChartAxis& axis, double value) {
  return std::isfinite(value) && (!axis.log || value > 0);
}

std::string TitleElement(const std::string& title) {
  return title.empty() ? "" : absl::StrCat("<title>", EscapeMarkup(title), "</title>");
}

}  // namespace

std::vector<double> RoundTicks(double from, double to, int steps_max) {
  std::vector<double> ticks;
  if (!(to > from) || steps_max < 1) return ticks;
  const double raw = (to - from) / steps_max;
  double power = std::pow(10, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw * (1 - 1e-9)) {
      step = factor * power;
      break;
    }
  }
  // Multiples, not sums: no rounding error adds up, and zero is zero.
  const double slack = 1e-9;
  for (double k = std::ceil(from / step - slack); k <= to / step + slack; ++k) {
    ticks.push_back(k == 0 ? 0 : k * step);
  }
  return ticks;
}

std::vector<double> LogTicks(double from, double to, int steps_max) {
  HONE_CHECK(from > 0 && to >= from) << "a logarithmic axis from " << from << " to " << to;
  auto in_range = [&](const std::vector<double>& factors, int decades) {
    std::vector<double> ticks;
    const int first = static_cast<int>(std::floor(std::log10(from)));
    const int last = static_cast<int>(std::ceil(std::log10(to)));
    for (int power = first; power <= last; ++power) {
      if (power % decades != 0) continue;
      for (double factor : factors) {
        const double tick = factor * std::pow(10, power);
        if (tick >= from * (1 - 1e-9) && tick <= to * (1 + 1e-9)) ticks.push_back(tick);
      }
    }
    return ticks;
  };
  const std::vector<double> dense = in_range({1, 2, 5}, 1);
  // Within half a decade, round steps say more than the one or two that are left.
  if (dense.size() < 3) return RoundTicks(from, to, steps_max);
  if (static_cast<int>(dense.size()) <= steps_max + 1) return dense;
  for (int decades = 1;; ++decades) {
    std::vector<double> ticks = in_range({1}, decades);
    if (static_cast<int>(ticks.size()) <= steps_max + 1) return ticks;
  }
}

std::string TickText(double value) { return absl::StrFormat("%.4g", value); }

// Maps data to the plot and writes elements.
class Chart::Painter {
 public:
  Painter(const Chart& chart, Range x, Range y) : chart_(chart), x_(x), y_(y) {}

  std::string Paint() {
    absl::StrAppendFormat(&out_,
                          "<svg class=\"chart\" viewBox=\"0 0 %d %d\" role=\"img\" "
                          "aria-label=\"%s\">\n",
                          chart_.size_.width, chart_.size_.height,
                          EscapeMarkup(chart_.description_));
    PaintAxes();
    for (const Guide& guide : chart_.guides_) PaintGuide(guide);
    for (const Level& level : chart_.levels_) PaintLevel(level);
    for (const Points& points : chart_.points_) {
      if (points.crosses) PaintCrosses(points);
    }
    for (const Points& points : chart_.points_) {
      if (!points.crosses) PaintPoints(points);
    }
    for (const Steps& steps : chart_.steps_) PaintSteps(steps);
    out_ += "</svg>\n";
    return std::move(out_);
  }

 private:
  double right() const { return chart_.size_.width - kRight; }
  double bottom() const { return chart_.size_.height - kBottom; }

  static double Share(const ChartAxis& axis, const Range& range, double value) {
    if (!axis.log) return (value - range.from) / (range.to - range.from);
    return std::log(value / range.from) / std::log(range.to / range.from);
  }
  double X(double value) const { return kLeft + Share(chart_.x_, x_, value) * (right() - kLeft); }
  double Y(double value) const {
    return bottom() - Share(chart_.y_, y_, value) * (bottom() - kTop);
  }

  void PaintAxes() {
    auto ticks = [](const ChartAxis& axis, const Range& range, double units) {
      const int count = std::max(2, static_cast<int>(units));
      return axis.log ? LogTicks(range.from, range.to, count)
                      : RoundTicks(range.from, range.to, count);
    };
    for (double tick : ticks(chart_.x_, x_, (right() - kLeft) / kUnitsPerTickX)) {
      absl::StrAppendFormat(&out_,
                            "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>"
                            "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
                            X(tick), kTop, X(tick), bottom(), X(tick), bottom() + 14,
                            TickText(tick));
    }
    for (double tick : ticks(chart_.y_, y_, (bottom() - kTop) / kUnitsPerTickY)) {
      absl::StrAppendFormat(&out_,
                            "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>"
                            "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                            kLeft, Y(tick), right(), Y(tick), kLeft - 5, Y(tick) + 3.5,
                            TickText(tick));
    }
    absl::StrAppendFormat(&out_,
                          "<path class=\"axis\" d=\"M%.1f %.1fV%.1fH%.1f\"/>"
                          "<text class=\"title\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s"
                          "</text>"
                          "<text class=\"title\" transform=\"translate(11 %.1f) rotate(-90)\" "
                          "text-anchor=\"middle\">%s</text>\n",
                          kLeft, kTop, bottom(), right(), (kLeft + right()) / 2,
                          chart_.size_.height - 7, EscapeMarkup(chart_.x_.title),
                          (kTop + bottom()) / 2, EscapeMarkup(chart_.y_.title));
  }

  // The part of a line inside the plot, after Liang and Barsky: each edge cuts off one end.
  void PaintGuide(const Guide& guide) {
    const double x0 = X(guide.from.first), y0 = Y(guide.from.second);
    const double dx = X(guide.to.first) - x0, dy = Y(guide.to.second) - y0;
    double begin = 0, end = 1;
    auto cut = [&](double direction, double room) {
      if (direction == 0) return room >= 0;
      const double at = room / direction;
      if (direction < 0) begin = std::max(begin, at);
      if (direction > 0) end = std::min(end, at);
      return begin <= end;
    };
    if (!cut(-dx, x0 - kLeft) || !cut(dx, right() - x0) || !cut(-dy, y0 - kTop) ||
        !cut(dy, bottom() - y0)) {
      return;
    }
    absl::StrAppendFormat(
        &out_, "<line class=\"guide %s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
        guide.style, x0 + begin * dx, y0 + begin * dy, x0 + end * dx, y0 + end * dy);
    if (guide.label.empty()) return;
    // Level lines are named at their right end, others along their first part.
    const bool level = std::abs(dy) < 0.5;
    const double at = level ? end : begin;
    absl::StrAppendFormat(&out_,
                          "<text class=\"%s\" transform=\"translate(%.1f %.1f) rotate(%.1f)\" "
                          "dx=\"%d\" dy=\"-4\" text-anchor=\"%s\">%s</text>\n",
                          guide.style, x0 + at * dx, y0 + at * dy,
                          level ? 0 : std::atan2(dy, dx) * 180 / M_PI, level ? -3 : 8,
                          level ? "end" : "start", EscapeMarkup(guide.label));
  }

  void PaintLevel(const Level& level) {
    const double y = Y(level.y);
    absl::StrAppendFormat(&out_,
                          "<line class=\"level %s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" "
                          "y2=\"%.1f\"/><text class=\"%s\" x=\"%.1f\" y=\"%.1f\" "
                          "text-anchor=\"end\">%s</text>\n",
                          level.style, kLeft, y, right(), y, level.style, right() - 3,
                          level.side == Side::kAbove ? y - 4 : y + 11, EscapeMarkup(level.label));
  }

  void PaintCrosses(const Points& series) {
    for (const ChartPoint& point : series.points) {
      absl::StrAppendFormat(&out_,
                            "<path class=\"cross %s\" d=\"M%.1f %.1fl%g %gm0 -%gl-%g %g\">%s"
                            "</path>\n",
                            series.style, X(point.x) - kCross, kTop - kCross, 2 * kCross,
                            2 * kCross, 2 * kCross, 2 * kCross, 2 * kCross,
                            TitleElement(point.title));
    }
  }

  void PaintPoints(const Points& series) {
    for (const ChartPoint& point : series.points) {
      std::string element = absl::StrFormat(
          "<circle class=\"point %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\">%s</circle>", series.style,
          X(point.x), Y(point.y), point.radius, TitleElement(point.title));
      if (!point.label.empty()) element += Label(point);
      if (!point.link.empty()) {
        element = absl::StrCat("<a href=\"", EscapeMarkup(point.link), "\">", element, "</a>");
      }
      absl::StrAppend(&out_, element, "\n");
    }
  }

  // Beside the point, on the first side where it covers no other label; to the right if none is
  // free.
  std::string Label(const ChartPoint& point) {
    constexpr double kCharacter = 6.5, kHeight = 10;
    const double width = kCharacter * static_cast<double>(point.label.size());
    const double x = X(point.x), y = Y(point.y);
    const Box sides[] = {
        {x + point.radius + 2, y - kHeight / 2, width, kHeight},
        {x - width / 2, y - point.radius - kHeight - 1, width, kHeight},
        {x - point.radius - 2 - width, y - kHeight / 2, width, kHeight},
        {x - width / 2, y + point.radius + 2, width, kHeight},
        {x + 0.7 * point.radius + 2, y - point.radius - kHeight, width, kHeight},
        {x - 0.7 * point.radius - width, y - point.radius - kHeight, width, kHeight},
    };
    Box box = sides[0];
    for (const Box& side : sides) {
      if (std::none_of(labels_.begin(), labels_.end(),
                       [&](const Box& other) { return side.Overlaps(other); })) {
        box = side;
        break;
      }
    }
    labels_.push_back(box);
    return absl::StrFormat("<text class=\"mark\" x=\"%.1f\" y=\"%.1f\">%s</text>", box.x,
                           box.y + kHeight - 1.5, EscapeMarkup(point.label));
  }

  void PaintSteps(const Steps& steps) {
    std::string path;
    for (const auto& [x, y] : steps.points) {
      if (path.empty()) {
        absl::StrAppendFormat(&path, "M%.1f %.1f", X(x), Y(y));
      } else {
        absl::StrAppendFormat(&path, "H%.1fV%.1f", X(x), Y(y));
      }
    }
    absl::StrAppend(&out_, "<path class=\"steps ", steps.style, "\" d=\"", path, "\"/>\n");
  }

  struct Box {
    double x, y, width, height;
    bool Overlaps(const Box& other) const {
      return x < other.x + other.width && other.x < x + width && y < other.y + other.height &&
             other.y < y + height;
    }
  };

  const Chart& chart_;
  const Range x_;
  const Range y_;
  std::vector<Box> labels_;
  std::string out_;
};

Chart::Chart(std::string description, ChartAxis x, ChartAxis y, Size size)
    : description_(std::move(description)), x_(std::move(x)), y_(std::move(y)), size_(size) {}

void Chart::Widen(const ChartAxis& axis, double value, std::optional<Range>* range) {
  if (!IsShown(axis, value)) return;
  if (!*range) *range = Range{value, value};
  (*range)->from = std::min((*range)->from, value);
  (*range)->to = std::max((*range)->to, value);
}

Chart::Range Chart::Padded(const ChartAxis& axis, const std::optional<Range>& data) {
  if (!data) return axis.log ? Range{1, 10} : Range{0, 1};
  Range range = *data;
  if (axis.log) {
    // A single value gets room around it.
    const double pad = std::max(std::pow(range.to / range.from, 0.07), 1.03);
    return {range.from / pad, range.to * pad};
  }
  const double pad =
      range.to > range.from ? 0.06 * (range.to - range.from) : std::max(1.0, std::abs(range.to));
  if (axis.from_zero) return {0, range.to > 0 ? range.to * 1.02 : 1};
  return {range.from - pad, range.to + pad};
}

void Chart::AddPoints(std::vector<ChartPoint> points, const std::string& style) {
  std::erase_if(points, [this](const ChartPoint& point) {
    return !IsShown(x_, point.x) || !IsShown(y_, point.y);
  });
  for (const ChartPoint& point : points) {
    Widen(x_, point.x, &x_data_);
    Widen(y_, point.y, &y_data_);
  }
  points_.push_back({std::move(points), style, false});
}

void Chart::AddCrosses(std::vector<ChartPoint> points, const std::string& style) {
  std::erase_if(points, [this](const ChartPoint& point) { return !IsShown(x_, point.x); });
  for (const ChartPoint& point : points) Widen(x_, point.x, &x_data_);
  points_.push_back({std::move(points), style, true});
}

void Chart::AddSteps(std::vector<std::pair<double, double>> points, const std::string& style) {
  std::erase_if(points, [this](const std::pair<double, double>& point) {
    return !IsShown(x_, point.first) || !IsShown(y_, point.second);
  });
  for (const auto& [x, y] : points) {
    Widen(x_, x, &x_data_);
    Widen(y_, y, &y_data_);
  }
  if (!points.empty()) steps_.push_back({std::move(points), style});
}

void Chart::AddLevel(double y, const std::string& label, Side side, const std::string& style) {
  if (!IsShown(y_, y)) return;
  Widen(y_, y, &y_data_);
  levels_.push_back({y, label, side, style});
}

void Chart::AddGuide(std::pair<double, double> from, std::pair<double, double> to,
                     const std::string& label, const std::string& style) {
  if (!IsShown(x_, from.first) || !IsShown(y_, from.second) || !IsShown(x_, to.first) ||
      !IsShown(y_, to.second)) {
    return;
  }
  guides_.push_back({from, to, label, style});
}

std::string Chart::ToSvg() const {
  Range x = Padded(x_, x_data_);
  Range y = Padded(y_, y_data_);
  if (equal_axes_) x = y = {std::min(x.from, y.from), std::max(x.to, y.to)};
  return Painter(*this, x, y).Paint();
}

}  // namespace hone
