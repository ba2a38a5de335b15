#include "tests/codegen/packed_microkernel.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace hone {

Program MakePackedMicrokernel(const PackedMicrokernel& shape) {
  const int64_t width = int64_t{shape.vectors} * shape.lanes;
  const Expr p = Var("p");
  const Expr k = Var("k");
  auto vector = [&](Expr base) { return Ramp(std::move(base), Int(1), shape.lanes); };
  auto each_accumulator = [&](const auto& make) {
    std::vector<Stmt> statements;
    for (int j = 0; j < shape.scalars; ++j) {
      for (int m = 0; m < shape.vectors; ++m) {
        statements.push_back(make(j, m, vector(Int(j * width + m * shape.lanes))));
      }
    }
    return statements;
  };

  std::vector<Stmt> body;
  for (int u = 0; u < shape.unroll; ++u) {
    std::vector<Expr> a(static_cast<size_t>(shape.vectors));
    for (int m = 0; m < shape.vectors; ++m) {
      const std::string name = absl::StrCat("a.", u, ".", m);
      const Expr at =
          p * (shape.depth * width) + k * (shape.unroll * width) + (u * width + m * shape.lanes);
      body.push_back(Let(name, Load("a", DType::kF32, {vector(at)})));
      a[static_cast<size_t>(m)] = Var(name, {DType::kF32, shape.lanes});
    }
    for (int j = 0; j < shape.scalars; ++j) {
      const std::string name = absl::StrCat("b.", u, ".", j);
      const Expr at = k * (shape.unroll * shape.scalars) + (u * shape.scalars + j);
      body.push_back(Let(name, Broadcast(Load("b", DType::kF32, {at}), shape.lanes)));
      for (int m = 0; m < shape.vectors; ++m) {
        const Expr acc = vector(Int(j * width + m * shape.lanes));
        body.push_back(Store("acc", {acc},
                             Fma(a[static_cast<size_t>(m)], Var(name, {DType::kF32, shape.lanes}),
                                 Load("acc", DType::kF32, {acc}))));
      }
    }
  }

  std::vector<Stmt> tile = {
      Allocate({"acc", DType::kF32, {Int(shape.scalars * width)}, Scope::kRegister})};
  for (Stmt& s : each_accumulator([&](int, int, const Expr& at) {
         return Store("acc", {at}, Float(0, {DType::kF32, shape.lanes}));
       })) {
    tile.push_back(std::move(s));
  }
  tile.push_back(
      For("k", Int(shape.depth / shape.unroll), LoopKind::kSerial, Block(std::move(body)), true));
  for (Stmt& s : each_accumulator([&](int j, int m, const Expr& at) {
         const Expr to = p * (shape.scalars * width) + (j * width + m * shape.lanes);
         return Store("c", {vector(to)}, Load("acc", DType::kF32, {at}));
       })) {
    tile.push_back(std::move(s));
  }

  Program program;
  program.buffers = {{"a",
                      DType::kF32,
                      {Int(shape.panels), Int(shape.depth), Int(width)},
                      Scope::kArgument,
                      BufferRole::kInput},
                     {"b",
                      DType::kF32,
                      {Int(shape.depth), Int(shape.scalars)},
                      Scope::kArgument,
                      BufferRole::kInput},
                     {"c",
                      DType::kF32,
                      {Int(shape.panels), Int(shape.scalars), Int(width)},
                      Scope::kArgument,
                      BufferRole::kOutput}};
  program.run = For("p", Int(shape.panels), LoopKind::kSerial, Block(std::move(tile)));
  return program;
}

}  // namespace hone
