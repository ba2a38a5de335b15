// Table: text in columns that line up, for people. Every command that lists things renders with it;
// it knows nothing of what it shows.
#pragma once

#include <string>
#include <vector>

namespace hone {

enum class Align { kLeft, kRight };  // texts left, numbers right

struct Column {
  std::string title;
  Align align = Align::kLeft;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns);

  // One cell a column; numbers come formatted (quantity.h).
  void AddRow(std::vector<std::string> cells);
  // A line across, before the row that follows: for totals.
  void AddRule();

  // Titles, a line, the rows; each line ends without blanks. When the table is wider than `width`
  // columns, left-aligned cells are cut in the middle ("conv3x3..56x56"), the widest first, but
  // none below 12; 0 means as wide as it takes.
  std::string Render(int width = 0) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;  // an empty row is a rule
};

// `text` in at most `width` characters: its middle replaced by "..".
std::string Shorten(const std::string& text, size_t width);

}  // namespace hone
