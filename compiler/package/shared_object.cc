#include "compiler/package/shared_object.h"

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"

// The file, from its start:
//
//   ELF header, program headers, .hash, .dynsym, .dynstr, .rodata (the data)   mapped read-only
//   .dynamic                                                                   mapped read-write
//   .shstrtab, section headers                                                 not mapped
//
// .dynamic has a writable segment of its own because older system loaders write into it. Section
// headers are there for linkers and tools; loaders do without.

namespace hone {
namespace {

constexpr uint64_t kPageBytes = 0x10000;  // the largest page of any supported machine
constexpr uint64_t kDataAlignment = 4096;

enum Section { kNull, kHash, kDynsym, kDynstr, kRodata, kDynamic, kShstrtab, kSectionCount };

uint64_t AlignUp(uint64_t bytes, uint64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

template <typename T>
void Append(const T& record, std::string* file) {
  file->append(reinterpret_cast<const char*>(&record), sizeof(record));
}

void PadTo(uint64_t alignment, std::string* file) {
  file->resize(AlignUp(file->size(), alignment), '\0');
}

// Appends zero-terminated text to a string table and returns its offset.
uint32_t AppendName(absl::string_view text, std::string* table) {
  const auto offset = static_cast<uint32_t>(table->size());
  absl::StrAppend(table, text);
  table->push_back('\0');
  return offset;
}

StatusOr<uint16_t> MachineOf(const std::string& arch) {
  if (arch == "x86_64") return EM_X86_64;
  if (arch == "aarch64") return EM_AARCH64;
  return absl::UnimplementedError(absl::StrCat(
      "cannot write a shared object for the architecture '", arch, "'; known: x86_64, aarch64"));
}

struct Range {
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

Elf64_Phdr Segment(uint32_t type, uint32_t flags, uint64_t address, Range range, uint64_t align) {
  Elf64_Phdr segment = {};
  segment.p_type = type;
  segment.p_flags = flags;
  segment.p_offset = range.offset;
  segment.p_vaddr = segment.p_paddr = address;
  segment.p_filesz = segment.p_memsz = range.bytes;
  segment.p_align = align;
  return segment;
}

Elf64_Shdr SectionHeader(uint32_t name, uint32_t type, uint64_t flags, uint64_t address,
                         Range range, uint64_t align) {
  Elf64_Shdr section = {};
  section.sh_name = name;
  section.sh_type = type;
  section.sh_flags = flags;
  section.sh_addr = address;
  section.sh_offset = range.offset;
  section.sh_size = range.bytes;
  section.sh_addralign = align;
  return section;
}

}  // namespace

StatusOr<std::string> MakeSharedObject(absl::string_view data, const SharedObjectOptions& options) {
  HONE_ASSIGN_OR_RETURN(const uint16_t machine, MachineOf(options.arch));
  std::string names(1, '\0');
  const uint32_t symbol_name = AppendName(options.symbol, &names);
  const uint32_t soname = options.soname.empty() ? 0 : AppendName(options.soname, &names);

  constexpr int kSegmentCount = 5;
  std::string file(sizeof(Elf64_Ehdr) + kSegmentCount * sizeof(Elf64_Phdr), '\0');
  Range ranges[kSectionCount];
  const auto begin = [&](Section section, uint64_t alignment) {
    PadTo(alignment, &file);
    ranges[section].offset = file.size();
  };
  const auto end = [&](Section section) {
    ranges[section].bytes = file.size() - ranges[section].offset;
  };

  begin(kHash, 8);  // one bucket that holds symbol 1, and the chain of symbols 0 and 1
  for (const uint32_t word : {1u, 2u, 1u, 0u, 0u}) Append(word, &file);
  end(kHash);

  begin(kDynsym, 8);
  const uint64_t data_offset =
      AlignUp(file.size() + 2 * sizeof(Elf64_Sym) + names.size(), kDataAlignment);
  Append(Elf64_Sym{}, &file);
  Elf64_Sym symbol = {};
  symbol.st_name = symbol_name;
  symbol.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT);
  symbol.st_shndx = kRodata;
  symbol.st_value = data_offset;
  symbol.st_size = data.size();
  Append(symbol, &file);
  end(kDynsym);

  begin(kDynstr, 1);
  file += names;
  end(kDynstr);

  file.reserve(data_offset + data.size() + 4096);
  begin(kRodata, kDataAlignment);
  file.append(data.data(), data.size());
  end(kRodata);
  const Range read_only = {.offset = 0, .bytes = file.size()};

  begin(kDynamic, 16);
  // The next page in memory, at the same place within a page as in the file.
  const uint64_t dynamic_address =
      AlignUp(file.size(), kPageBytes) + ranges[kDynamic].offset % kPageBytes;
  const auto dynamic = [&](int64_t tag, uint64_t value) {
    Elf64_Dyn entry = {};
    entry.d_tag = tag;
    entry.d_un.d_val = value;
    Append(entry, &file);
  };
  if (soname != 0) dynamic(DT_SONAME, soname);
  dynamic(DT_HASH, ranges[kHash].offset);
  dynamic(DT_SYMTAB, ranges[kDynsym].offset);
  dynamic(DT_SYMENT, sizeof(Elf64_Sym));
  dynamic(DT_STRTAB, ranges[kDynstr].offset);
  dynamic(DT_STRSZ, ranges[kDynstr].bytes);
  dynamic(DT_NULL, 0);
  end(kDynamic);

  begin(kShstrtab, 1);
  std::string section_names(1, '\0');
  uint32_t section_name[kSectionCount] = {};
  const char* const texts[] = {"",        ".hash",    ".dynsym",  ".dynstr",
                               ".rodata", ".dynamic", ".shstrtab"};
  for (int i = 1; i < kSectionCount; ++i) section_name[i] = AppendName(texts[i], &section_names);
  file += section_names;
  end(kShstrtab);

  PadTo(8, &file);
  const uint64_t section_headers_at = file.size();
  Append(Elf64_Shdr{}, &file);
  const auto section = [&](Section which, uint32_t type, uint64_t flags, uint64_t address,
                           uint64_t align) {
    return SectionHeader(section_name[which], type, flags, address, ranges[which], align);
  };
  Elf64_Shdr hash = section(kHash, SHT_HASH, SHF_ALLOC, ranges[kHash].offset, 8);
  hash.sh_link = kDynsym;
  hash.sh_entsize = 4;
  Append(hash, &file);
  Elf64_Shdr dynsym = section(kDynsym, SHT_DYNSYM, SHF_ALLOC, ranges[kDynsym].offset, 8);
  dynsym.sh_link = kDynstr;
  dynsym.sh_info = 1;  // the first symbol that is not local
  dynsym.sh_entsize = sizeof(Elf64_Sym);
  Append(dynsym, &file);
  Append(section(kDynstr, SHT_STRTAB, SHF_ALLOC, ranges[kDynstr].offset, 1), &file);
  Append(section(kRodata, SHT_PROGBITS, SHF_ALLOC, data_offset, kDataAlignment), &file);
  Elf64_Shdr dynamic_section =
      section(kDynamic, SHT_DYNAMIC, SHF_ALLOC | SHF_WRITE, dynamic_address, 16);
  dynamic_section.sh_link = kDynstr;
  dynamic_section.sh_entsize = sizeof(Elf64_Dyn);
  Append(dynamic_section, &file);
  Append(section(kShstrtab, SHT_STRTAB, 0, 0, 1), &file);

  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_DYN;
  header.e_machine = machine;
  header.e_version = EV_CURRENT;
  header.e_phoff = sizeof(Elf64_Ehdr);
  header.e_shoff = section_headers_at;
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = kSegmentCount;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = kSectionCount;
  header.e_shstrndx = kShstrtab;
  const Elf64_Phdr segments[kSegmentCount] = {
      Segment(PT_LOAD, PF_R, 0, read_only, kPageBytes),
      Segment(PT_LOAD, PF_R | PF_W, dynamic_address, ranges[kDynamic], kPageBytes),
      Segment(PT_DYNAMIC, PF_R | PF_W, dynamic_address, ranges[kDynamic], 8),
      // Without it, loaders make the program's stack executable.
      Segment(PT_GNU_STACK, PF_R | PF_W, 0, {}, 16),
      Segment(options.segment_type, PF_R, data_offset, ranges[kRodata], 8),
  };
  std::memcpy(file.data(), &header, sizeof(header));
  std::memcpy(file.data() + sizeof(header), segments, sizeof(segments));
  return file;
}

}  // namespace hone
