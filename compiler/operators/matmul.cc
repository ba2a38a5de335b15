#include "compiler/operators/matmul.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "compiler/ir/tensor.h"

namespace hone {
namespace {

std::vector<int64_t> BatchOf(const std::vector<int64_t>& shape) {
  return {shape.begin(), shape.end() - 2};
}

// Batches aligned to the right with 1 in front.
std::vector<int64_t> Padded(const std::vector<int64_t>& batch, size_t rank) {
  std::vector<int64_t> padded(rank - batch.size(), 1);
  padded.insert(padded.end(), batch.begin(), batch.end());
  return padded;
}

// How the batch appears in the workload.
struct Batch {
  std::vector<DimGroup> groups;  // of the output's leading dimensions
  std::vector<int64_t> x_extents, w_extents;
  std::vector<Expr> x_index, w_index;
};

Batch BatchDims(const std::vector<int64_t>& y, const std::vector<int64_t>& x,
                const std::vector<int64_t>& w, bool merge) {
  Batch batch;
  const int rank = static_cast<int>(y.size());
  if (merge) {
    if (rank == 0) return batch;
    batch.groups = {{"b", 0, rank}};
    batch.x_extents = batch.w_extents = {ElementCount(y)};
    batch.x_index = batch.w_index = {Var("b")};
    return batch;
  }
  for (int d = 0; d < rank; ++d) {
    const std::string name = rank == 1 ? "b" : absl::StrCat("d", d);
    batch.groups.push_back({name, d, 1});
    if (x[d] > 1) {
      batch.x_extents.push_back(x[d]);
      batch.x_index.push_back(Var(name));
    }
    if (w[d] > 1) {
      batch.w_extents.push_back(w[d]);
      batch.w_index.push_back(Var(name));
    }
  }
  return batch;
}

}  // namespace

std::vector<int64_t> MatMulShape(const MatMul& matmul) {
  const std::vector<int64_t> x = BatchOf(matmul.x);
  const std::vector<int64_t> w = BatchOf(matmul.w);
  const size_t rank = std::max(x.size(), w.size());
  std::vector<int64_t> shape = Padded(x, rank);
  const std::vector<int64_t> w_padded = Padded(w, rank);
  for (size_t d = 0; d < rank; ++d) shape[d] = shape[d] == 1 ? w_padded[d] : shape[d];
  shape.push_back(matmul.transpose_x ? matmul.x.back() : matmul.x[matmul.x.size() - 2]);
  shape.push_back(matmul.transpose_w ? matmul.w[matmul.w.size() - 2] : matmul.w.back());
  return shape;
}

Workload MatMulWorkload(const MatMul& matmul, const Epilogue& epilogue) {
  const std::vector<int64_t> y = MatMulShape(matmul);
  const int batch_rank = static_cast<int>(y.size()) - 2;
  const int64_t rows = y[batch_rank];
  const int64_t columns = y[batch_rank + 1];
  const int64_t depth = matmul.transpose_x ? matmul.x[matmul.x.size() - 2] : matmul.x.back();
  const std::vector<int64_t> y_batch = BatchOf(y);
  const std::vector<int64_t> x_batch = Padded(BatchOf(matmul.x), batch_rank);
  const std::vector<int64_t> w_batch = Padded(BatchOf(matmul.w), batch_rank);

  // x's batch continues its rows where w is one matrix.
  const bool rows_span_batch = ElementCount(w_batch) == 1 && x_batch == y_batch &&
                               (!matmul.transpose_x || ElementCount(x_batch) == 1);
  Batch batch;
  int64_t m_extent = rows;
  DimGroup m_group{"m", batch_rank, 1};
  if (rows_span_batch) {
    m_group = {"m", 0, batch_rank + 1};
    m_extent = rows * ElementCount(x_batch);
  } else {
    const bool merge =
        x_batch == w_batch &&
        Frame(y, {{"b", 0, batch_rank}, {"m", batch_rank, 1}, {"n", batch_rank + 1, 1}})
            .Fits(epilogue.operands);
    batch = BatchDims(y_batch, x_batch, w_batch, merge);
  }
  std::vector<DimGroup> groups = batch.groups;
  groups.push_back(m_group);
  groups.push_back({"n", batch_rank + 1, 1});
  if (rows_span_batch && !Frame(y, groups).Fits(epilogue.operands)) {
    // An operand of the epilogue varies along a part of the rows: keep the batch apart.
    batch = BatchDims(y_batch, x_batch, w_batch, false);
    m_extent = rows;
    groups = batch.groups;
    groups.push_back({"m", batch_rank, 1});
    groups.push_back({"n", batch_rank + 1, 1});
  }

  auto operand = [](std::vector<int64_t> extents, std::vector<Expr> index, Expr outer, Expr inner,
                    int64_t outer_extent, int64_t inner_extent, bool transpose) {
    if (transpose) {
      std::swap(outer, inner);
      std::swap(outer_extent, inner_extent);
    }
    extents.insert(extents.end(), {outer_extent, inner_extent});
    index.insert(index.end(), {outer, inner});
    return std::pair(extents, index);
  };
  const auto [x_shape, x_index] = operand(batch.x_extents, batch.x_index, Var("m"), Var("k"),
                                          m_extent, depth, matmul.transpose_x);
  const auto [w_shape, w_index] = operand(batch.w_extents, batch.w_index, Var("k"), Var("n"), depth,
                                          columns, matmul.transpose_w);
  auto role = [](bool constant) { return constant ? BufferRole::kConstant : BufferRole::kInput; };
  Workload workload;
  workload.buffers.push_back(ArgumentBuffer("x", matmul.x_type, role(matmul.constant_x), x_shape));
  workload.buffers.push_back(ArgumentBuffer("w", matmul.w_type, role(matmul.constant_w), w_shape));
  const Core core{
      .dtype = SumType(matmul.x_type, matmul.w_type),
      .combiner = Combiner::kSum,
      .reduce = {{"k", Int(depth)}},
      .body = ProductOf(Load("x", matmul.x_type, x_index), Load("w", matmul.w_type, w_index))};
  Finish(core, Frame(y, groups), epilogue, workload);
  return workload;
}

}  // namespace hone
