#include "cli/table.h"

#include <algorithm>

#include "base/check.h"

namespace hone {
namespace {

constexpr size_t kGap = 2;         // blanks between columns
constexpr size_t kNarrowest = 12;  // a cut cell keeps at least this

// "left   " or "  right"
void AppendCell(const std::string& cell, size_t width, Align align, std::string* line) {
  const size_t blanks = width - std::min(width, cell.size());
  if (align == Align::kRight) line->append(blanks, ' ');
  *line += cell;
  if (align == Align::kLeft) line->append(blanks, ' ');
}

void AppendLine(std::string line, std::string* out) {
  line.erase(line.find_last_not_of(' ') + 1);
  *out += line;
  out->push_back('\n');
}

// Narrows the left-aligned columns, the widest first, until the table fits or nothing gives.
void FitColumns(const std::vector<Column>& columns, size_t width, std::vector<size_t>* widths) {
  size_t total = kGap * (columns.size() - 1);
  for (size_t column_width : *widths) total += column_width;
  while (total > width) {
    size_t widest = columns.size();
    for (size_t i = 0; i < columns.size(); ++i) {
      if (columns[i].align != Align::kLeft || (*widths)[i] <= kNarrowest) continue;
      if (widest == columns.size() || (*widths)[i] > (*widths)[widest]) widest = i;
    }
    if (widest == columns.size()) return;
    --(*widths)[widest];
    --total;
  }
}

}  // namespace

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  HONE_CHECK(!columns_.empty());
}

void Table::AddRow(std::vector<std::string> cells) {
  HONE_CHECK(cells.size() == columns_.size())
      << cells.size() << " cells for " << columns_.size() << " columns";
  rows_.push_back(std::move(cells));
}

void Table::AddRule() { rows_.emplace_back(); }

std::string Table::Render(int width) const {
  std::vector<size_t> widths;
  for (const Column& column : columns_) widths.push_back(column.title.size());
  for (const std::vector<std::string>& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  if (width > 0) FitColumns(columns_, static_cast<size_t>(width), &widths);

  size_t total = kGap * (columns_.size() - 1);
  for (size_t column_width : widths) total += column_width;
  const std::string rule(total, '-');

  std::string out;
  auto append_row = [&](auto cell_text) {
    std::string line;
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0) line.append(kGap, ' ');
      AppendCell(Shorten(cell_text(i), widths[i]), widths[i], columns_[i].align, &line);
    }
    AppendLine(std::move(line), &out);
  };
  append_row([&](size_t i) { return columns_[i].title; });
  AppendLine(rule, &out);
  for (const std::vector<std::string>& row : rows_) {
    if (row.empty()) {
      AppendLine(rule, &out);
    } else {
      append_row([&](size_t i) { return row[i]; });
    }
  }
  return out;
}

std::string Shorten(const std::string& text, size_t width) {
  if (text.size() <= width) return text;
  if (width <= 2) return text.substr(0, width);
  const size_t tail = (width - 2) / 2;
  return text.substr(0, width - 2 - tail) + ".." + text.substr(text.size() - tail);
}

}  // namespace hone
