// What an entry looks like:
//
//   i32 hone_run(args)                        loads pointers and parameters, calls
//     run(args, a, b, ...)                    the program's statements; a parallel loop becomes
//       host->parallel_for(n, body, args)     with `body` doing as hone_run does, and calling
//         run.0(begin, end, a, b, ...)        the loop over its iterations
#include "compiler/codegen/llvm_module.h"

#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "compiler/codegen/llvm_expr.h"
#include "compiler/codegen/llvm_registers.h"
#include "compiler/codegen/llvm_stmt.h"
#include "compiler/codegen/llvm_target.h"
#include "compiler/codegen/llvm_values.h"
#include "runtime/kernel.h"

namespace hone {
namespace {

bool IsParallel(const Stmt& s) {
  return s.kind() == StmtKind::kFor && s->loop_kind == LoopKind::kParallel;
}

// The names that `s` uses, without what is inside of parallel loops: those have their own function.
void AddNames(const Stmt& s, std::unordered_set<std::string>& names) {
  auto add = [&](const Expr& whole) {
    if (!whole) return;
    Visit(whole, [&](const Expr& e) {
      if (!e->name.empty()) names.insert(e->name);
    });
  };
  names.insert({s->name, s->source});
  add(s->extent);
  add(s->value);
  for (const Expr& index : s->indices) add(index);
  if (IsParallel(s)) return;
  for (const Stmt& child : s->body) AddNames(child, names);
}

bool HasParallelLoop(const Stmt& s) {
  bool found = false;
  Visit(s, [&](const Stmt& child) { found |= IsParallel(child); });
  return found;
}

class ModuleMaker {
 public:
  ModuleMaker(const Program& program, const Target& target, const ScratchPlan& scratch,
              llvm::Module& module)
      : program_(program),
        target_(target),
        scratch_(scratch),
        native_(NativeOpsOf(target)),
        module_(module),
        context_(module.getContext()),
        builder_(context_),
        pointer_(llvm::PointerType::get(context_, 0)),
        i64_(llvm::Type::getInt64Ty(context_)),
        args_type_(llvm::StructType::get(context_, {pointer_, pointer_, pointer_, pointer_})),
        host_type_(llvm::StructType::get(context_, {pointer_, i64_})) {}

  Status MakeEntry(absl::string_view symbol, const Stmt& body, bool prepare);

 private:
  // What a work function takes besides the pointer to the kernel's arguments.
  struct Signature {
    std::vector<const Buffer*> buffers;  // arguments, by the program's order
    std::vector<int> buffer_numbers;
    std::vector<int> params;
    std::vector<Buffer> scratch;
  };

  Signature SignatureOf(const Stmt& body) const;
  // Loads everything in `signature` from the kernel's arguments. `worker` is null in serial code.
  std::vector<llvm::Value*> LoadArguments(const Signature& signature, llvm::Value* args,
                                          llvm::Value* worker);
  // Declares the work function: (args, begin, end, what the signature says).
  llvm::Function* MakeWorkFunction(const std::string& name, const Signature& signature,
                                   bool noalias);
  Status FillWorkFunction(llvm::Function* function, const Signature& signature, const Stmt& body,
                          const Stmt& loop);
  void EmitParallelCall(llvm::Value* args, llvm::Value* count, llvm::Function* body);
  // The hone_parallel_body of a loop, empty as yet.
  llvm::Function* DeclareParallelBody(const std::string& name);
  Status MakeParallelBody(llvm::Function* function, const Stmt& loop);
  bool IsReadOnly(const Buffer& buffer) const;
  llvm::Value* LoadField(llvm::StructType* type, llvm::Value* object, unsigned field);

  const Program& program_;
  const Target& target_;
  const ScratchPlan& scratch_;
  const NativeOps native_;
  llvm::Module& module_;
  llvm::LLVMContext& context_;
  llvm::IRBuilder<> builder_;
  llvm::PointerType* pointer_;
  llvm::Type* i64_;
  llvm::StructType* args_type_;
  llvm::StructType* host_type_;
  bool prepare_ = false;
  std::map<std::string, Buffer> scratch_buffers_;
  std::vector<std::pair<llvm::Function*, Stmt>> parallel_;  // declared, not made yet
};

bool ModuleMaker::IsReadOnly(const Buffer& buffer) const {
  switch (buffer.role) {
    case BufferRole::kInput:
    case BufferRole::kConstant:
      return true;
    case BufferRole::kPrepared:
      return !prepare_;
    case BufferRole::kNone:
    case BufferRole::kOutput:
      return false;
  }
  return false;
}

ModuleMaker::Signature ModuleMaker::SignatureOf(const Stmt& body) const {
  std::unordered_set<std::string> names;
  AddNames(body, names);
  Signature signature;
  for (size_t i = 0; i < program_.buffers.size(); ++i) {
    if (names.count(program_.buffers[i].name) == 0) continue;
    signature.buffers.push_back(&program_.buffers[i]);
    signature.buffer_numbers.push_back(static_cast<int>(i));
  }
  for (size_t i = 0; i < program_.params.size(); ++i) {
    if (names.count(program_.params[i].name) > 0) signature.params.push_back(static_cast<int>(i));
  }
  for (const auto& [name, buffer] : scratch_buffers_) {
    if (names.count(name) > 0) signature.scratch.push_back(buffer);
  }
  return signature;
}

llvm::Value* ModuleMaker::LoadField(llvm::StructType* type, llvm::Value* object, unsigned field) {
  return builder_.CreateLoad(type->getElementType(field),
                             builder_.CreateStructGEP(type, object, field));
}

std::vector<llvm::Value*> ModuleMaker::LoadArguments(const Signature& signature, llvm::Value* args,
                                                     llvm::Value* worker) {
  std::vector<llvm::Value*> values;
  if (!signature.buffers.empty()) {
    llvm::Value* table = LoadField(args_type_, args, 0);
    for (int number : signature.buffer_numbers) {
      values.push_back(builder_.CreateLoad(
          pointer_, builder_.CreateConstGEP1_32(pointer_, table, static_cast<unsigned>(number))));
    }
  }
  if (!signature.params.empty()) {
    llvm::Value* params = LoadField(args_type_, args, 1);
    for (int number : signature.params) {
      values.push_back(builder_.CreateLoad(
          i64_, builder_.CreateConstGEP1_32(i64_, params, static_cast<unsigned>(number))));
    }
  }
  if (signature.scratch.empty()) return values;
  llvm::Value* shared = LoadField(args_type_, args, 2);
  llvm::Value* own = nullptr;
  if (worker != nullptr) {
    llvm::Value* slice =
        builder_.CreateMul(worker, builder_.getInt64(static_cast<uint64_t>(scratch_.worker_bytes)));
    llvm::Value* offset =
        builder_.CreateAdd(slice, builder_.getInt64(static_cast<uint64_t>(scratch_.shared_bytes)));
    own = builder_.CreateGEP(builder_.getInt8Ty(), shared, offset);
  }
  for (const Buffer& buffer : signature.scratch) {
    const ScratchSlot& slot = scratch_.slots.at(buffer.name);
    llvm::Value* part = slot.worker ? own : shared;
    values.push_back(builder_.CreateGEP(builder_.getInt8Ty(), part,
                                        builder_.getInt64(static_cast<uint64_t>(slot.offset))));
  }
  return values;
}

llvm::Function* ModuleMaker::MakeWorkFunction(const std::string& name, const Signature& signature,
                                              bool noalias) {
  std::vector<llvm::Type*> types = {pointer_, i64_, i64_};
  types.insert(types.end(), signature.buffers.size(), pointer_);
  types.insert(types.end(), signature.params.size(), i64_);
  types.insert(types.end(), signature.scratch.size(), pointer_);
  auto* function =
      llvm::Function::Create(llvm::FunctionType::get(builder_.getVoidTy(), types, false),
                             llvm::Function::InternalLinkage, name, module_);
  AddTargetAttributes(target_, *function);
  unsigned number = 3;
  auto describe = [&](const Buffer& buffer, bool read_only) {
    const unsigned argument = number++;
    if (noalias) function->addParamAttr(argument, llvm::Attribute::NoAlias);
    if (noalias && read_only) function->addParamAttr(argument, llvm::Attribute::ReadOnly);
    function->addParamAttr(
        argument, llvm::Attribute::getWithAlignment(context_, llvm::Align(HONE_ALIGNMENT)));
    int64_t elements = 1;
    for (const Expr& extent : buffer.shape) elements *= extent.IsInt() ? extent->int_value : 0;
    if (elements > 0) {
      const auto bytes = static_cast<uint64_t>(elements * DTypeBytes(buffer.dtype));
      function->addDereferenceableParamAttr(argument, bytes);
    }
  };
  for (const Buffer* buffer : signature.buffers) describe(*buffer, IsReadOnly(*buffer));
  number += static_cast<unsigned>(signature.params.size());
  for (const Buffer& buffer : signature.scratch) describe(buffer, false);
  return function;
}

// The whole of `body` when `loop` is empty; otherwise the loop's iterations [begin, end).
Status ModuleMaker::FillWorkFunction(llvm::Function* function, const Signature& signature,
                                     const Stmt& body, const Stmt& loop) {
  builder_.SetInsertPoint(llvm::BasicBlock::Create(context_, "", function));
  HONE_ASSIGN_OR_RETURN(RegisterFile registers, RegisterFile::Make(body));
  ExprEmitter exprs(builder_, native_, registers);
  unsigned number = 3;
  for (const Buffer* buffer : signature.buffers) {
    exprs.BindBuffer(buffer->name,
                     {function->getArg(number++), buffer->dtype, IsReadOnly(*buffer)});
  }
  for (int param : signature.params) {
    exprs.BindValue(program_.params[param].name, function->getArg(number++));
  }
  for (const Buffer& buffer : signature.scratch) {
    exprs.BindBuffer(buffer.name, {function->getArg(number++), buffer.dtype, false});
  }
  llvm::Value* args = function->getArg(0);
  StmtEmitter stmts(
      builder_, native_, exprs, registers, [&](const Stmt& inner, llvm::Value* count) {
        if (loop) {
          return exprs.Fail(absl::StrCat("parallel loop '", inner->name, "' inside of '",
                                         loop->name,
                                         "'; only the outermost loop of a nest can be parallel"));
        }
        const std::string name = absl::StrCat(function->getName().str(), ".", parallel_.size());
        llvm::Function* parallel_body = DeclareParallelBody(name);
        parallel_.emplace_back(parallel_body, inner);
        EmitParallelCall(args, count, parallel_body);
      });
  if (loop) {
    stmts.EmitRange(loop->name, function->getArg(1), function->getArg(2), loop->body[0]);
  } else {
    stmts.Emit(body);
  }
  builder_.CreateRetVoid();
  return exprs.status();
}

llvm::Function* ModuleMaker::DeclareParallelBody(const std::string& name) {
  auto* type = llvm::FunctionType::get(builder_.getVoidTy(), {pointer_, i64_, i64_, i64_}, false);
  auto* function =
      llvm::Function::Create(type, llvm::Function::InternalLinkage, name + ".body", module_);
  AddTargetAttributes(target_, *function);
  return function;
}

Status ModuleMaker::MakeParallelBody(llvm::Function* function, const Stmt& loop) {
  const Signature signature = SignatureOf(loop->body[0]);
  llvm::Function* work = MakeWorkFunction(function->getName().str() + ".work", signature, true);
  builder_.SetInsertPoint(llvm::BasicBlock::Create(context_, "", function));
  llvm::Value* args = function->getArg(0);
  std::vector<llvm::Value*> values = {args, function->getArg(1), function->getArg(2)};
  const std::vector<llvm::Value*> loaded = LoadArguments(signature, args, function->getArg(3));
  values.insert(values.end(), loaded.begin(), loaded.end());
  builder_.CreateCall(work, values);
  builder_.CreateRetVoid();
  return FillWorkFunction(work, signature, loop->body[0], loop);
}

void ModuleMaker::EmitParallelCall(llvm::Value* args, llvm::Value* count, llvm::Function* body) {
  llvm::Value* host = LoadField(args_type_, args, 3);
  llvm::Value* parallel_for = LoadField(host_type_, host, 0);
  auto* type =
      llvm::FunctionType::get(builder_.getVoidTy(), {pointer_, i64_, pointer_, pointer_}, false);
  builder_.CreateCall(type, parallel_for, {host, count, body, args});
}

Status ModuleMaker::MakeEntry(absl::string_view symbol, const Stmt& body, bool prepare) {
  prepare_ = prepare;
  scratch_buffers_.clear();
  Visit(body, [&](const Stmt& s) {
    if (s.kind() == StmtKind::kAllocate && s->buffer.scope == Scope::kScratch) {
      scratch_buffers_[s->buffer.name] = s->buffer;
    }
  });
  auto* type = llvm::FunctionType::get(builder_.getInt32Ty(), {pointer_}, false);
  auto* entry =
      llvm::Function::Create(type, llvm::Function::ExternalLinkage, std::string(symbol), module_);
  AddTargetAttributes(target_, *entry);
  const Signature signature = SignatureOf(body);
  // Where a parallel loop runs in between, memory changes behind these pointers.
  llvm::Function* work =
      MakeWorkFunction(prepare ? "prepare" : "run", signature, !HasParallelLoop(body));
  builder_.SetInsertPoint(llvm::BasicBlock::Create(context_, "", entry));
  llvm::Value* args = entry->getArg(0);
  std::vector<llvm::Value*> values = {args, builder_.getInt64(0), builder_.getInt64(0)};
  const std::vector<llvm::Value*> loaded = LoadArguments(signature, args, nullptr);
  values.insert(values.end(), loaded.begin(), loaded.end());
  builder_.CreateCall(work, values);
  builder_.CreateRet(builder_.getInt32(0));
  HONE_RETURN_IF_ERROR(FillWorkFunction(work, signature, body, {}));
  for (size_t i = 0; i < parallel_.size(); ++i) {
    const auto [function, loop] = parallel_[i];
    HONE_RETURN_IF_ERROR(MakeParallelBody(function, loop));
  }
  parallel_.clear();
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::unique_ptr<llvm::Module>> MakeModule(const Program& program, const Target& target,
                                                   const ScratchPlan& scratch,
                                                   const llvm::TargetMachine& machine,
                                                   llvm::LLVMContext& context) {
  auto module = std::make_unique<llvm::Module>("kernel", context);
  module->setTargetTriple(machine.getTargetTriple().str());
  module->setDataLayout(machine.createDataLayout());
  module->setPICLevel(llvm::PICLevel::SmallPIC);
  ModuleMaker maker(program, target, scratch, *module);
  if (program.prepare) {
    HONE_RETURN_IF_ERROR(maker.MakeEntry(HONE_PREPARE_SYMBOL, program.prepare, true));
  }
  HONE_RETURN_IF_ERROR(maker.MakeEntry(HONE_RUN_SYMBOL, program.run, false));
  return module;
}

}  // namespace hone
