// Stmt and Program: loop programs, what lowering makes of a scheduled workload and what code
// generators read. Immutable like Expr. A program has two entries at most: `prepare` (run once,
// computes everything that depends on constants alone) and `run`.
//
// Semantics
//  * A Block runs its statements in order. `let` binds a name for the statements after it in the
//    same block; names are unique in a function.
//  * `allocate` makes a buffer for the statements after it in the same block. Contents are
//    undefined until stored. Scope says where: see Scope.
//  * A parallel loop's iterations are independent; it is the outermost loop of its nest, so that
//  its
//    body needs only the kernel's arguments and its own variable. Buffers allocated inside it are
//    one a worker; those allocated outside are shared.
//  * A buffer of scope `tile` has tiles of a matrix unit: [tiles, 16, 64 bytes of elements]. Tile
//    statements name one by a constant number; rows in memory lie `row_stride` elements apart, row
//    0 at element `at` of the buffer.
//  * After lowering every buffer access has one index (flat, in elements); a vector access has a
//    ramp of stride 1, or any vector index for gather and scatter.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "compiler/ir/expr.h"

namespace hone {

enum class Scope : uint8_t {
  kArgument,  // given by the caller; see BufferRole
  kScratch,   // memory from the kernel's scratch argument
  kRegister,  // vector registers: indexed by constants only, never addressable
  kTile,      // tile registers of a matrix unit: after lowering, in tile statements only
  // Declared for GPUs; no generator in this tree accepts them yet.
  kFragment,
  kShared,
};

// What a matrix unit has: so many tile registers, each of rows of so many bytes. A tile of 32-bit
// sums has as many columns as rows.
inline constexpr int64_t kTileRegisters = 8;
inline constexpr int64_t kTileRows = 16;
inline constexpr int64_t kTileRowBytes = 64;

enum class BufferRole : uint8_t {
  kNone,      // local
  kInput,     // differs in every run
  kConstant,  // known when the model is compiled (weights)
  kPrepared,  // written by `prepare` from constants, read by `run`
  kOutput,
};

// A buffer in a loop program: named storage with a physical shape.
struct Buffer {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<Expr> shape;  // physical; constants or expressions over parameters
  Scope scope = Scope::kScratch;
  BufferRole role = BufferRole::kNone;
};

// A run-time int64 parameter of a kernel and the range it is right for.
struct Param {
  std::string name;
  int64_t min = 0;
  int64_t max = 0;
  friend bool operator==(const Param&, const Param&) = default;
};

enum class StmtKind : uint8_t { kFor, kStore, kLet, kIf, kBlock, kAllocate, kPrefetch, kTile };
enum class LoopKind : uint8_t { kSerial, kParallel, kVector, kUnroll };

// What a tile statement does, and what its `indices` are.
enum class TileOp : uint8_t {
  kZero,      // tile `name`: {number}
  kLoad,      // tile `name` from memory `source`: {number, at, row stride}
  kStream,    // the same of memory that is not to displace what the first cache holds
  kStore,     // tile `name` to memory `source`: {number, at, row stride}
  kMultiply,  // tile `name` += intrinsic(tile `source`, tile `right`): {number, left's, right's}
};

class Stmt;

struct StmtNode {
  StmtKind kind;
  LoopKind loop_kind{};        // kFor
  bool straight_line = false;  // kFor: the body is a micro-kernel block, kept as one basic block
  TileOp tile_op{};            // kTile; see there for `name`, `source`, `right` and `indices`
  std::string name;            // kFor: variable; kStore, kPrefetch: buffer; kLet: name
  std::string source;  // kTile: operand or memory; kFor: of a block of tiles, what streams by
  std::string right;
  std::string intrinsic;      // kTile: that multiplies; kFor: the one that computes all of it
  Expr extent;                // kFor: the variable runs over [0, extent)
  Expr value;                 // kStore, kLet; kIf: condition; kPrefetch: elements further on
  std::vector<Expr> indices;  // kStore, kPrefetch
  std::vector<Stmt> body;     // kBlock: all; kFor: one; kIf: then, and else if there is one
  Buffer buffer;              // kAllocate
};

class Stmt {
 public:
  Stmt() = default;
  explicit Stmt(StmtNode node);
  explicit operator bool() const { return node_ != nullptr; }
  const StmtNode& operator*() const { return *node_; }
  const StmtNode* operator->() const { return node_.get(); }
  StmtKind kind() const { return node_->kind; }

 private:
  std::shared_ptr<const StmtNode> node_;
};

Stmt For(absl::string_view var, Expr extent, LoopKind kind, Stmt body, bool straight_line = false);
Stmt Store(absl::string_view buffer, std::vector<Expr> indices, Expr value);
Stmt Let(absl::string_view name, Expr value);
Stmt If(Expr condition, Stmt then_body, Stmt else_body = {});
Stmt Block(std::vector<Stmt> statements);  // flattens nested blocks that hold no let or allocate
Stmt Allocate(Buffer buffer);
// Of the element that lies `ahead` elements further on in the buffer's memory; it need not exist.
Stmt Prefetch(absl::string_view buffer, std::vector<Expr> indices, Expr ahead = {});

Stmt TileZero(absl::string_view tiles, int64_t number);
Stmt TileLoad(absl::string_view tiles, int64_t number, absl::string_view memory, Expr at,
              Expr row_stride);
Stmt TileStream(absl::string_view tiles, int64_t number, absl::string_view memory, Expr at,
                Expr row_stride);
Stmt TileStore(absl::string_view tiles, int64_t number, absl::string_view memory, Expr at,
               Expr row_stride);
Stmt TileMultiply(absl::string_view intrinsic, absl::string_view tiles, int64_t number,
                  absl::string_view left, int64_t left_number, absl::string_view right,
                  int64_t right_number);

// One kernel: its arguments and its one or two functions.
struct Program {
  std::vector<Param> params;
  std::vector<Buffer> buffers;  // the arguments, in the order the kernel takes them
  Stmt prepare;                 // empty when nothing depends on constants alone
  Stmt run;

  const Buffer* FindBuffer(absl::string_view name) const;  // null if there is none
};

// --- Looking and rewriting -----------------------------------------------------------------------
// Calls on every statement, and on every expression (whole, not each node), outermost first.
void Visit(const Stmt& s, const std::function<void(const Stmt&)>& on_stmt,
           const std::function<void(const Expr&)>& on_expr = nullptr);
// Rebuilds bottom-up: expressions through `on_expr` (may be null), then the statement through
// `on_stmt`; an empty result keeps the statement.
Stmt Rewrite(const Stmt& s, const std::function<Stmt(const Stmt&)>& on_stmt,
             const std::function<Expr(const Expr&)>& on_expr = nullptr);
Stmt Substitute(const Stmt& s, const std::map<std::string, Expr>& values);
bool Equal(const Stmt& a, const Stmt& b);

// The word a tile statement begins with: "tile_zero".
absl::string_view TileOpName(TileOp op);
absl::string_view ScopeName(Scope scope);
absl::string_view RoleName(BufferRole role);
absl::string_view LoopKindName(LoopKind kind);

}  // namespace hone
