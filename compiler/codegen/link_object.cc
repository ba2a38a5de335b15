#include "compiler/codegen/link_object.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "compiler/codegen/llvm_process.h"
#include "lld/Common/Driver.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

LLD_HAS_DRIVER(elf)

namespace hone {
namespace {

// A file of this process in memory, removed when it goes out of scope.
class TemporaryFile {
 public:
  TemporaryFile() {
    path_ = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm/hone-XXXXXX" : "/tmp/hone-XXXXXX";
    descriptor_ = ::mkstemp(path_.data());
  }
  ~TemporaryFile() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::string& path() const { return path_; }

  Status Write(absl::string_view bytes) {
    if (descriptor_ < 0) return Error("cannot be made");
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return Error("cannot be written");
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return absl::OkStatus();
  }

 private:
  Status Error(absl::string_view what) const {
    return absl::ResourceExhaustedError(absl::StrCat("temporary file ", path_, " ", what, ": ",
                                                     std::strerror(errno),
                                                     "; make room in /dev/shm"));
  }

  std::string path_;
  int descriptor_ = -1;
};

Status Broken(absl::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat("compiled kernel: ", what));
}

StatusOr<std::unique_ptr<llvm::object::ObjectFile>> OpenElf(llvm::MemoryBufferRef bytes) {
  auto file = llvm::object::ObjectFile::createObjectFile(bytes);
  if (!file) return Broken(llvm::toString(file.takeError()));
  return std::move(*file);
}

// No symbol is undefined, except those that only the linker makes.
Status CheckUndefined(const llvm::object::ObjectFile& file) {
  for (const llvm::object::SymbolRef& symbol : file.symbols()) {
    auto flags = symbol.getFlags();
    if (!flags) return Broken(llvm::toString(flags.takeError()));
    if ((*flags & llvm::object::SymbolRef::SF_Undefined) == 0) continue;
    auto name = symbol.getName();
    if (!name) return Broken(llvm::toString(name.takeError()));
    if (name->empty() || *name == "_GLOBAL_OFFSET_TABLE_") continue;
    return Broken(absl::StrCat("it calls '", name->str(),
                               "', but kernels have no libraries; the target lacks an instruction "
                               "that this program needs"));
  }
  return absl::OkStatus();
}

Status CheckWritable(const llvm::object::ObjectFile& file) {
  for (const llvm::object::SectionRef& section : file.sections()) {
    const auto flags = llvm::object::ELFSectionRef(section).getFlags();
    if ((flags & llvm::ELF::SHF_ALLOC) == 0 || (flags & llvm::ELF::SHF_WRITE) == 0) continue;
    if (section.getSize() == 0) continue;
    return Broken(absl::StrCat("it has writable data in section '",
                               llvm::cantFail(section.getName()).str(), "'"));
  }
  return absl::OkStatus();
}

Status CheckRelocations(const llvm::object::ObjectFile& file) {
  for (const llvm::object::SectionRef& section : file.sections()) {
    const llvm::object::ELFSectionRef elf(section);
    const bool relocations =
        elf.getType() == llvm::ELF::SHT_REL || elf.getType() == llvm::ELF::SHT_RELA;
    if (!relocations || section.getSize() == 0) continue;
    return Broken(absl::StrCat("it has dynamic relocations in section '",
                               llvm::cantFail(section.getName()).str(), "'"));
  }
  return absl::OkStatus();
}

Status RunLinker(const std::string& input, const std::string& output) {
  const std::lock_guard<std::mutex> lock(LlvmProcessMutex());
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  const char* arguments[] = {"ld.lld",      "--threads=1", "-shared",      "--hash-style=both",
                             "--strip-all", "-z",          "defs",         "-z",
                             "noexecstack", "-o",          output.c_str(), input.c_str()};
  const lld::Result result = lld::lldMain(arguments, stream, stream, {{lld::Gnu, &lld::elf::link}});
  stream.flush();
  if (result.retCode == 0) return absl::OkStatus();
  return Broken(absl::StrCat("linking failed: ", messages));
}

}  // namespace

StatusOr<std::string> LinkObject(absl::string_view object) {
  HONE_ASSIGN_OR_RETURN(auto relocatable,
                        OpenElf({llvm::StringRef(object.data(), object.size()), "kernel object"}));
  HONE_RETURN_IF_ERROR(CheckUndefined(*relocatable));
  HONE_RETURN_IF_ERROR(CheckWritable(*relocatable));
  TemporaryFile input;
  TemporaryFile output;
  HONE_RETURN_IF_ERROR(input.Write(object));
  HONE_RETURN_IF_ERROR(output.Write(""));
  HONE_RETURN_IF_ERROR(RunLinker(input.path(), output.path()));
  // lld replaces the file, so it is read by name.
  auto linked = llvm::MemoryBuffer::getFile(output.path(), false, false);
  if (!linked) return Broken(absl::StrCat("cannot be read: ", linked.getError().message()));
  HONE_ASSIGN_OR_RETURN(auto shared, OpenElf((*linked)->getMemBufferRef()));
  HONE_RETURN_IF_ERROR(CheckRelocations(*shared));
  return (*linked)->getBuffer().str();
}

}  // namespace hone
