#include "compiler/ir/program_text.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/text_reader.h"
#include "compiler/ir/expr_text.h"

namespace hone {
namespace {

std::string ListText(const std::vector<Expr>& list) {
  return absl::StrJoin(list, ",",
                       [](std::string* out, const Expr& e) { absl::StrAppend(out, ToString(e)); });
}

absl::string_view LoopWord(LoopKind kind) {
  return kind == LoopKind::kSerial ? "for" : LoopKindName(kind);
}

// c.t[0], tile number `i` of the statement's
std::string TileText(const std::string& tiles, const Stmt& s, int i) {
  return absl::StrCat(tiles, "[", ToString(s->indices[i]), "]");
}

//   tile_zero c.t[0]
//   tile_load a.t[0] = x[at] stride 64; or tile_stream
//   tile_multiply c.t[0] += tdpbf16ps(a.t[0],b.t[1])
//   tile_store c[at] stride 32 = c.t[0]
std::string TileStatementText(const Stmt& s) {
  const std::string tile = TileText(s->name, s, 0);
  if (s->tile_op == TileOp::kZero) return tile;
  if (s->tile_op == TileOp::kMultiply) {
    return absl::StrCat(tile, " += ", s->intrinsic, "(", TileText(s->source, s, 1), ",",
                        TileText(s->right, s, 2), ")");
  }
  const std::string memory =
      absl::StrCat(TileText(s->source, s, 1), " stride ", ToString(s->indices[2]));
  return s->tile_op == TileOp::kStore ? absl::StrCat(memory, " = ", tile)
                                      : absl::StrCat(tile, " = ", memory);
}

void Print(const Stmt& s, int depth, std::string* out);

// The body of a loop or branch: a block's statements stand in its braces directly.
void PrintBody(const Stmt& body, int depth, std::string* out) {
  if (body.kind() != StmtKind::kBlock) return Print(body, depth, out);
  for (const Stmt& s : body->body) Print(s, depth, out);
}

void Print(const Stmt& s, int depth, std::string* out) {
  const std::string indent(static_cast<size_t>(depth) * 2, ' ');
  switch (s.kind()) {
    case StmtKind::kFor:
      absl::StrAppend(out, indent, s->straight_line ? "straight_line " : "", LoopWord(s->loop_kind),
                      " ", s->name, " in ", ToString(s->extent), s->intrinsic.empty() ? "" : " by ",
                      s->intrinsic, s->source.empty() ? "" : " past ", s->source, " {\n");
      PrintBody(s->body[0], depth + 1, out);
      absl::StrAppend(out, indent, "}\n");
      return;
    case StmtKind::kStore:
      absl::StrAppend(out, indent, s->name, "[", ListText(s->indices), "] = ", ToString(s->value),
                      "\n");
      return;
    case StmtKind::kLet:
      absl::StrAppend(out, indent, "let ", s->name, " = ", ToString(s->value), "\n");
      return;
    case StmtKind::kIf:
      absl::StrAppend(out, indent, "if ", ToString(s->value), " {\n");
      PrintBody(s->body[0], depth + 1, out);
      if (s->body.size() > 1) {
        absl::StrAppend(out, indent, "} else {\n");
        PrintBody(s->body[1], depth + 1, out);
      }
      absl::StrAppend(out, indent, "}\n");
      return;
    case StmtKind::kBlock:
      absl::StrAppend(out, indent, "{\n");
      PrintBody(s, depth + 1, out);
      absl::StrAppend(out, indent, "}\n");
      return;
    case StmtKind::kAllocate:
      absl::StrAppend(out, indent, "allocate ", s->buffer.name, " ", ScopeName(s->buffer.scope),
                      " ", DTypeName(s->buffer.dtype), " [", ListText(s->buffer.shape), "]\n");
      return;
    case StmtKind::kPrefetch:
      absl::StrAppend(out, indent, "prefetch ", s->name, "[", ListText(s->indices), "]",
                      s->value ? " ahead " + ToString(s->value) : "", "\n");
      return;
    case StmtKind::kTile:
      absl::StrAppend(out, indent, TileOpName(s->tile_op), " ", TileStatementText(s), "\n");
      return;
  }
}

class Parser {
 public:
  explicit Parser(absl::string_view text) : reader_(text, "program") {}

  StatusOr<Program> Parse() {
    HONE_RETURN_IF_ERROR(ParseVersion());
    while (!reader_.AtEnd()) {
      const std::string word(reader_.PeekWord());
      Status status;
      if (word == "param") {
        status = ParseParam();
      } else if (word == "prepare" || word == "run") {
        status = ParseFunction(word == "run" ? program_.run : program_.prepare);
      } else {
        status = ParseBuffer();
      }
      HONE_RETURN_IF_ERROR(status);
    }
    if (!program_.run) return reader_.Error("there is no 'run'");
    return program_;
  }

 private:
  Status ParseVersion() {
    if (!reader_.TryWord("program")) return reader_.Error("expected 'program/1'");
    HONE_RETURN_IF_ERROR(reader_.Mark("/"));
    HONE_ASSIGN_OR_RETURN(const int64_t version, reader_.Integer());
    if (version != 1) return reader_.Error("only version 1 of the text form is known");
    return reader_.EndLine();
  }

  Status ParseParam() {
    reader_.TryWord("param");
    Param param;
    HONE_ASSIGN_OR_RETURN(param.name, reader_.Word("a parameter's name"));
    HONE_ASSIGN_OR_RETURN(param.min, reader_.Integer());
    HONE_RETURN_IF_ERROR(reader_.Mark(".."));
    HONE_ASSIGN_OR_RETURN(param.max, reader_.Integer());
    variables_[param.name] = Type{DType::kI64, 1};
    program_.params.push_back(std::move(param));
    return reader_.EndLine();
  }

  Status ParseBuffer() {
    Buffer buffer;
    buffer.scope = Scope::kArgument;
    HONE_ASSIGN_OR_RETURN(const std::string role,
                          reader_.Word("param, a buffer's role, prepare or run"));
    for (BufferRole known :
         {BufferRole::kInput, BufferRole::kConstant, BufferRole::kPrepared, BufferRole::kOutput}) {
      if (RoleName(known) == absl::string_view(role)) buffer.role = known;
    }
    if (buffer.role == BufferRole::kNone) {
      return reader_.Error(absl::StrCat("'", role, "' is not a buffer's role"));
    }
    HONE_ASSIGN_OR_RETURN(buffer.name, reader_.Word("a buffer's name"));
    HONE_RETURN_IF_ERROR(ParseStorage(buffer));
    program_.buffers.push_back(std::move(buffer));
    return reader_.EndLine();
  }

  // f32 [n,8]
  Status ParseStorage(Buffer& buffer) {
    HONE_ASSIGN_OR_RETURN(const std::string dtype, reader_.Word("an element type"));
    HONE_ASSIGN_OR_RETURN(buffer.dtype, ParseDType(dtype));
    HONE_ASSIGN_OR_RETURN(buffer.shape, ParseList());
    buffers_[buffer.name] = buffer.dtype;
    return absl::OkStatus();
  }

  Status ParseFunction(Stmt& function) {
    if (function) return reader_.Error("this function is there already");
    HONE_RETURN_IF_ERROR(reader_.Word("a function").status());
    HONE_ASSIGN_OR_RETURN(function, ParseBody());
    return reader_.EndLine();
  }

  // { statements }, leaving what follows the closing brace on its line.
  StatusOr<Stmt> ParseBody() {
    HONE_RETURN_IF_ERROR(reader_.Mark("{"));
    HONE_RETURN_IF_ERROR(reader_.EndLine());
    std::vector<Stmt> statements;
    while (!reader_.TryMark("}")) {
      if (reader_.AtEnd()) return reader_.Error("expected '}'");
      HONE_ASSIGN_OR_RETURN(Stmt statement, ParseStatement());
      HONE_RETURN_IF_ERROR(reader_.EndLine());
      statements.push_back(std::move(statement));
    }
    return Block(std::move(statements));
  }

  StatusOr<Stmt> ParseStatement() {
    if (reader_.PeekChar() == '{') return ParseBody();
    const bool straight_line = reader_.TryWord("straight_line");
    for (LoopKind kind :
         {LoopKind::kSerial, LoopKind::kParallel, LoopKind::kVector, LoopKind::kUnroll}) {
      if (reader_.TryWord(LoopWord(kind))) return ParseFor(kind, straight_line);
    }
    if (straight_line) return reader_.Error("expected a loop after 'straight_line'");
    if (reader_.TryWord("if")) return ParseIf();
    if (reader_.TryWord("let")) return ParseLet();
    if (reader_.TryWord("allocate")) return ParseAllocate();
    if (reader_.TryWord("prefetch")) {
      HONE_ASSIGN_OR_RETURN(const std::string buffer, reader_.Word("a buffer"));
      HONE_ASSIGN_OR_RETURN(std::vector<Expr> indices, ParseList());
      if (!reader_.TryWord("ahead")) return Prefetch(buffer, std::move(indices));
      HONE_ASSIGN_OR_RETURN(const int64_t ahead, reader_.Integer());
      return Prefetch(buffer, std::move(indices), Int(ahead));
    }
    for (TileOp op :
         {TileOp::kZero, TileOp::kLoad, TileOp::kStream, TileOp::kStore, TileOp::kMultiply}) {
      if (reader_.TryWord(TileOpName(op))) return ParseTile(op);
    }
    HONE_ASSIGN_OR_RETURN(const std::string buffer, reader_.Word("a statement"));
    HONE_ASSIGN_OR_RETURN(std::vector<Expr> indices, ParseList());
    HONE_RETURN_IF_ERROR(reader_.Mark("="));
    HONE_ASSIGN_OR_RETURN(Expr value, ParseValue());
    return Store(buffer, std::move(indices), std::move(value));
  }

  // c.t[0]
  Status ParseTileNumber(std::string& tiles, int64_t& number) {
    HONE_ASSIGN_OR_RETURN(tiles, reader_.Word("a buffer of tiles"));
    HONE_RETURN_IF_ERROR(reader_.Mark("["));
    HONE_ASSIGN_OR_RETURN(number, reader_.Integer());
    return reader_.Mark("]");
  }

  // x[at] stride 64
  Status ParseTileMemory(std::string& memory, Expr& at, Expr& row_stride) {
    HONE_ASSIGN_OR_RETURN(memory, reader_.Word("a buffer"));
    HONE_RETURN_IF_ERROR(reader_.Mark("["));
    HONE_ASSIGN_OR_RETURN(at, ParseValue());
    HONE_RETURN_IF_ERROR(reader_.Mark("]"));
    if (!reader_.TryWord("stride")) return reader_.Error("expected 'stride'");
    HONE_ASSIGN_OR_RETURN(row_stride, ParseValue());
    return absl::OkStatus();
  }

  StatusOr<Stmt> ParseTile(TileOp op) {
    std::string tiles, memory;
    int64_t number = 0;
    Expr at, row_stride;
    if (op == TileOp::kStore) {
      HONE_RETURN_IF_ERROR(ParseTileMemory(memory, at, row_stride));
      HONE_RETURN_IF_ERROR(reader_.Mark("="));
      HONE_RETURN_IF_ERROR(ParseTileNumber(tiles, number));
      return TileStore(tiles, number, memory, at, row_stride);
    }
    HONE_RETURN_IF_ERROR(ParseTileNumber(tiles, number));
    if (op == TileOp::kZero) return TileZero(tiles, number);
    if (op == TileOp::kLoad || op == TileOp::kStream) {
      HONE_RETURN_IF_ERROR(reader_.Mark("="));
      HONE_RETURN_IF_ERROR(ParseTileMemory(memory, at, row_stride));
      return op == TileOp::kLoad ? TileLoad(tiles, number, memory, at, row_stride)
                                 : TileStream(tiles, number, memory, at, row_stride);
    }
    std::string left, right;
    int64_t left_number = 0;
    int64_t right_number = 0;
    HONE_RETURN_IF_ERROR(reader_.Mark("+="));
    HONE_ASSIGN_OR_RETURN(const std::string intrinsic, reader_.Word("an intrinsic"));
    HONE_RETURN_IF_ERROR(reader_.Mark("("));
    HONE_RETURN_IF_ERROR(ParseTileNumber(left, left_number));
    HONE_RETURN_IF_ERROR(reader_.Mark(","));
    HONE_RETURN_IF_ERROR(ParseTileNumber(right, right_number));
    HONE_RETURN_IF_ERROR(reader_.Mark(")"));
    return TileMultiply(intrinsic, tiles, number, left, left_number, right, right_number);
  }

  StatusOr<Stmt> ParseFor(LoopKind kind, bool straight_line) {
    HONE_ASSIGN_OR_RETURN(const std::string var, reader_.Word("a loop's variable"));
    if (!reader_.TryWord("in")) return reader_.Error("expected 'in'");
    HONE_ASSIGN_OR_RETURN(Expr extent, ParseValue());
    std::string intrinsic, streams;
    if (reader_.TryWord("by")) {
      HONE_ASSIGN_OR_RETURN(intrinsic, reader_.Word("a tensor intrinsic"));
    }
    if (reader_.TryWord("past")) {
      HONE_ASSIGN_OR_RETURN(streams, reader_.Word("a buffer"));
    }
    variables_[var] = Type{DType::kI64, 1};
    HONE_ASSIGN_OR_RETURN(Stmt body, ParseBody());
    StmtNode loop = *For(var, std::move(extent), kind, std::move(body), straight_line);
    loop.intrinsic = std::move(intrinsic);
    loop.source = std::move(streams);
    return Stmt(std::move(loop));
  }

  StatusOr<Stmt> ParseIf() {
    HONE_ASSIGN_OR_RETURN(Expr condition, ParseValue());
    HONE_ASSIGN_OR_RETURN(Stmt then_body, ParseBody());
    Stmt else_body;
    if (reader_.TryWord("else")) {
      HONE_ASSIGN_OR_RETURN(else_body, ParseBody());
    }
    return If(std::move(condition), std::move(then_body), std::move(else_body));
  }

  StatusOr<Stmt> ParseLet() {
    HONE_ASSIGN_OR_RETURN(const std::string name, reader_.Word("a name"));
    HONE_RETURN_IF_ERROR(reader_.Mark("="));
    HONE_ASSIGN_OR_RETURN(Expr value, ParseValue());
    variables_[name] = value.type();
    return Let(name, std::move(value));
  }

  StatusOr<Stmt> ParseAllocate() {
    Buffer buffer;
    HONE_ASSIGN_OR_RETURN(buffer.name, reader_.Word("a buffer's name"));
    HONE_ASSIGN_OR_RETURN(const std::string scope, reader_.Word("a scope"));
    buffer.scope = Scope::kArgument;
    for (Scope known :
         {Scope::kScratch, Scope::kRegister, Scope::kTile, Scope::kFragment, Scope::kShared}) {
      if (ScopeName(known) == absl::string_view(scope)) buffer.scope = known;
    }
    if (buffer.scope == Scope::kArgument) {
      return reader_.Error(absl::StrCat("'", scope, "' is not the scope of a local buffer"));
    }
    HONE_RETURN_IF_ERROR(ParseStorage(buffer));
    return Allocate(std::move(buffer));
  }

  // [a,b,c]
  StatusOr<std::vector<Expr>> ParseList() {
    std::vector<Expr> list;
    HONE_RETURN_IF_ERROR(reader_.Mark("["));
    if (reader_.TryMark("]")) return list;
    do {
      HONE_ASSIGN_OR_RETURN(Expr e, ParseValue());
      list.push_back(std::move(e));
    } while (reader_.TryMark(","));
    HONE_RETURN_IF_ERROR(reader_.Mark("]"));
    return list;
  }

  StatusOr<Expr> ParseValue() {
    const ExprScope scope = {
        .buffer = [this](absl::string_view name) -> StatusOr<DType> {
          const auto found = buffers_.find(std::string(name));
          if (found != buffers_.end()) return found->second;
          return absl::NotFoundError(absl::StrCat("there is no buffer '", name, "'"));
        },
        .variable = [this](absl::string_view name) -> StatusOr<Type> {
          const auto found = variables_.find(std::string(name));
          if (found != variables_.end()) return found->second;
          return absl::NotFoundError(absl::StrCat("there is no variable '", name, "'"));
        }};
    return ParseExpr(reader_, scope);
  }

  TextReader reader_;
  Program program_;
  std::map<std::string, DType> buffers_;
  std::map<std::string, Type> variables_;
};

}  // namespace

std::string ToString(const Stmt& s) {
  std::string out;
  PrintBody(s, 0, &out);
  return out;
}

std::string ToString(const Program& program) {
  std::string out = "program/1\n";
  for (const Param& param : program.params) {
    absl::StrAppend(&out, "param ", param.name, " ", param.min, "..", param.max, "\n");
  }
  for (const Buffer& buffer : program.buffers) {
    absl::StrAppend(&out, RoleName(buffer.role), " ", buffer.name, " ", DTypeName(buffer.dtype),
                    " [", ListText(buffer.shape), "]\n");
  }
  if (program.prepare) {
    absl::StrAppend(&out, "prepare {\n");
    PrintBody(program.prepare, 1, &out);
    absl::StrAppend(&out, "}\n");
  }
  if (program.run) {
    absl::StrAppend(&out, "run {\n");
    PrintBody(program.run, 1, &out);
    absl::StrAppend(&out, "}\n");
  }
  return out;
}

StatusOr<Program> ParseProgram(absl::string_view text) { return Parser(text).Parse(); }

}  // namespace hone
