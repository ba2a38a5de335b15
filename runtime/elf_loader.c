#include "runtime/elf_loader.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file is read twice. First its program headers, from the given bytes: they say how large the
 * image is and what is copied where. Then its dynamic section, from the image: tables are found
 * through it by address, as any loader does; section headers play no part. All reads go through
 * ReadFile and ReadImage, which check bounds and do not care for alignment. */

#if defined(__x86_64__)
enum { kMachine = EM_X86_64 };
#elif defined(__aarch64__)
enum { kMachine = EM_AARCH64 };
#elif defined(__arm__)
enum { kMachine = EM_ARM };
#elif defined(__i386__)
enum { kMachine = EM_386 };
#elif defined(__riscv)
enum { kMachine = EM_RISCV };
#else
#error "the ELF loader does not know this machine"
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
enum { kByteOrder = ELFDATA2MSB };
#else
enum { kByteOrder = ELFDATA2LSB };
#endif

#if __SIZEOF_POINTER__ == 8
enum { kClass = ELFCLASS64 };
#define SYMBOL_TYPE(info) ELF64_ST_TYPE(info)
#else
enum { kClass = ELFCLASS32 };
#define SYMBOL_TYPE(info) ELF32_ST_TYPE(info)
#endif

enum { kSegmentsMax = 64 };

typedef struct Segment {
  uint64_t begin, end; /* in the image */
  bool writable, executable;
} Segment;

struct hone_elf {
  unsigned char* image;
  size_t image_bytes; /* whole pages */
  Segment segments[kSegmentsMax];
  int segment_count;
  uint64_t relro_begin, relro_end; /* what the linker writes and then seals: .dynamic */
  uint64_t dynamic_begin, dynamic_end;

  /* From the dynamic section; addresses in the image. */
  uint64_t symbols, strings, string_bytes, sysv_hash, gnu_hash;
  uint64_t symbol_count;
  bool has_relocations;
};

typedef struct File {
  const unsigned char* bytes;
  size_t size;
} File;

static bool Inside(uint64_t offset, uint64_t length, uint64_t size) {
  return offset <= size && length <= size - offset;
}

static bool ReadFile(const File* file, uint64_t offset, void* to, size_t length) {
  if (!Inside(offset, length, file->size)) return false;
  memcpy(to, file->bytes + offset, length);
  return true;
}

static bool ReadImage(const hone_elf* elf, uint64_t address, void* to, size_t length) {
  if (!Inside(address, length, elf->image_bytes)) return false;
  memcpy(to, elf->image + address, length);
  return true;
}

static uint64_t RoundUp(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

static hone_error_code Truncated(hone_error* error, const char* what) {
  return hone_fail(error, HONE_ERROR_MALFORMED,
                   "kernel code: %s reaches beyond the file; it is truncated or damaged", what);
}

static hone_error_code CheckHeader(const File* file, ElfW(Ehdr) * header, hone_error* error) {
  if (!ReadFile(file, 0, header, sizeof(*header))) return Truncated(error, "the ELF header");
  if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) {
    return hone_fail(error, HONE_ERROR_MALFORMED, "kernel code: not an ELF file");
  }
  if (header->e_ident[EI_CLASS] != kClass || header->e_ident[EI_DATA] != kByteOrder ||
      header->e_machine != kMachine) {
    return hone_fail(error, HONE_ERROR_UNSUPPORTED,
                     "kernel code: made for another machine (ELF machine %u, this one is %u); "
                     "compile it for this target",
                     (unsigned)header->e_machine, (unsigned)kMachine);
  }
  if (header->e_type != ET_DYN) {
    return hone_fail(error, HONE_ERROR_UNSUPPORTED,
                     "kernel code: ELF type %u, expected a shared object",
                     (unsigned)header->e_type);
  }
  if (header->e_phentsize != sizeof(ElfW(Phdr)) || header->e_phnum == 0 ||
      header->e_phnum > kSegmentsMax) {
    return hone_fail(error, HONE_ERROR_MALFORMED,
                     "kernel code: %u program headers of %u bytes are not what we read",
                     (unsigned)header->e_phnum, (unsigned)header->e_phentsize);
  }
  return HONE_OK;
}

/* Reads the program headers into `elf` and `loads`; the image's size without rounding into
 * `*image_end`. */
static hone_error_code ReadSegments(const File* file, const ElfW(Ehdr) * header, hone_elf* elf,
                                    ElfW(Phdr) * loads, uint64_t* image_end, hone_error* error) {
  *image_end = 0;
  for (int i = 0; i < header->e_phnum; ++i) {
    ElfW(Phdr) segment;
    if (header->e_phoff > file->size ||
        !ReadFile(file, header->e_phoff + (uint64_t)i * sizeof(segment), &segment,
                  sizeof(segment))) {
      return Truncated(error, "a program header");
    }
    const uint64_t begin = segment.p_vaddr;
    if (segment.p_type != PT_LOAD && segment.p_type != PT_DYNAMIC &&
        segment.p_type != PT_GNU_RELRO && segment.p_type != PT_TLS) {
      continue;
    }
    if (!Inside(begin, segment.p_memsz, HONE_ELF_IMAGE_BYTES_MAX)) {
      return hone_fail(error, HONE_ERROR_MALFORMED,
                       "kernel code: a segment reaches beyond %zu bytes of image",
                       HONE_ELF_IMAGE_BYTES_MAX);
    }
    const uint64_t end = begin + segment.p_memsz;
    switch (segment.p_type) {
      case PT_LOAD:
        if (segment.p_filesz > segment.p_memsz ||
            !Inside(segment.p_offset, segment.p_filesz, file->size)) {
          return Truncated(error, "a segment");
        }
        if ((segment.p_flags & PF_W) != 0 && (segment.p_flags & PF_X) != 0) {
          return hone_fail(error, HONE_ERROR_UNSUPPORTED,
                           "kernel code: a segment is writable and executable");
        }
        loads[elf->segment_count] = segment;
        elf->segments[elf->segment_count] = (Segment){.begin = begin,
                                                      .end = end,
                                                      .writable = (segment.p_flags & PF_W) != 0,
                                                      .executable = (segment.p_flags & PF_X) != 0};
        ++elf->segment_count;
        if (end > *image_end) *image_end = end;
        break;
      case PT_DYNAMIC:
        elf->dynamic_begin = begin;
        elf->dynamic_end = end;
        break;
      case PT_GNU_RELRO:
        elf->relro_begin = begin;
        elf->relro_end = end;
        break;
      default:
        return hone_fail(error, HONE_ERROR_UNSUPPORTED, "kernel code: has thread-local data");
    }
  }
  if (*image_end == 0) {
    return hone_fail(error, HONE_ERROR_MALFORMED, "kernel code: nothing to load");
  }
  if (elf->dynamic_end == 0) {
    return hone_fail(error, HONE_ERROR_MALFORMED, "kernel code: no dynamic section");
  }
  return HONE_OK;
}

/* Linkers put .dynamic and an empty .got into a writable segment that they seal again (RELRO).
 * Anything writable beyond that is data. */
static hone_error_code RefuseWritableData(const hone_elf* elf, hone_error* error) {
  for (int i = 0; i < elf->segment_count; ++i) {
    const Segment* segment = &elf->segments[i];
    if (segment->writable && segment->begin < segment->end &&
        (segment->begin < elf->relro_begin || segment->end > elf->relro_end)) {
      return hone_fail(error, HONE_ERROR_UNSUPPORTED,
                       "kernel code: has writable data; a kernel is code and constants only");
    }
  }
  return HONE_OK;
}

static hone_error_code CopySegments(const File* file, hone_elf* elf, const ElfW(Phdr) * loads,
                                    hone_error* error) {
  void* image =
      mmap(NULL, elf->image_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (image == MAP_FAILED) {
    return hone_fail(error, HONE_ERROR_NO_MEMORY, "kernel code: cannot map %zu bytes: %s",
                     elf->image_bytes, strerror(errno));
  }
  elf->image = image;
  for (int i = 0; i < elf->segment_count; ++i) {
    memcpy(elf->image + loads[i].p_vaddr, file->bytes + loads[i].p_offset, loads[i].p_filesz);
  }
  return HONE_OK;
}

static hone_error_code ReadDynamic(hone_elf* elf, hone_error* error) {
  uint64_t address = elf->dynamic_begin;
  for (;; address += sizeof(ElfW(Dyn))) {
    ElfW(Dyn) entry;
    if (address + sizeof(entry) > elf->dynamic_end ||
        !ReadImage(elf, address, &entry, sizeof(entry))) {
      return Truncated(error, "the dynamic section");
    }
    switch (entry.d_tag) {
      case DT_NULL:
        return HONE_OK;
      case DT_SYMTAB:
        elf->symbols = entry.d_un.d_ptr;
        break;
      case DT_STRTAB:
        elf->strings = entry.d_un.d_ptr;
        break;
      case DT_STRSZ:
        elf->string_bytes = entry.d_un.d_val;
        break;
      case DT_HASH:
        elf->sysv_hash = entry.d_un.d_ptr;
        break;
      case DT_GNU_HASH:
        elf->gnu_hash = entry.d_un.d_ptr;
        break;
      case DT_SYMENT:
        if (entry.d_un.d_val != sizeof(ElfW(Sym))) {
          return hone_fail(error, HONE_ERROR_MALFORMED, "kernel code: symbols of a strange size");
        }
        break;
      case DT_RELASZ:
      case DT_RELSZ:
      case DT_PLTRELSZ:
      case 35: /* DT_RELRSZ, which older elf.h lack */
        elf->has_relocations |= entry.d_un.d_val != 0;
        break;
      case DT_NEEDED:
        return hone_fail(error, HONE_ERROR_UNSUPPORTED,
                         "kernel code: needs another library; a kernel calls none");
      case DT_INIT:
      case DT_INIT_ARRAY:
      case DT_FINI:
      case DT_FINI_ARRAY:
        return hone_fail(error, HONE_ERROR_UNSUPPORTED,
                         "kernel code: wants to run code when loaded or unloaded");
      default:
        break;
    }
  }
}

/* The hash tables are used only to learn how many symbols there are. */
static bool CountSymbols(hone_elf* elf) {
  if (elf->sysv_hash != 0) {
    uint32_t counts[2]; /* buckets, chains; a chain entry a symbol */
    if (!ReadImage(elf, elf->sysv_hash, counts, sizeof(counts))) return false;
    elf->symbol_count = counts[1];
    return true;
  }
  uint32_t header[4]; /* buckets, first hashed symbol, words of the filter, its shift */
  if (elf->gnu_hash == 0 || !ReadImage(elf, elf->gnu_hash, header, sizeof(header))) return false;
  const uint64_t buckets =
      elf->gnu_hash + sizeof(header) + (uint64_t)header[2] * sizeof(ElfW(Addr));
  const uint64_t chains = buckets + (uint64_t)header[0] * sizeof(uint32_t);
  uint64_t last = 0;
  for (uint32_t i = 0; i < header[0]; ++i) {
    uint32_t first;
    if (!ReadImage(elf, buckets + (uint64_t)i * sizeof(first), &first, sizeof(first))) return false;
    if (first > last) last = first;
  }
  if (last == 0) {
    elf->symbol_count = header[1];
    return true;
  }
  if (last < header[1]) return false;
  for (;; ++last) { /* the end of a chain has its lowest bit set */
    uint32_t hash;
    if (!ReadImage(elf, chains + (last - header[1]) * sizeof(hash), &hash, sizeof(hash))) {
      return false;
    }
    if ((hash & 1) != 0) break;
  }
  elf->symbol_count = last + 1;
  return true;
}

/* After this, every symbol and every name can be read without further checks. */
static hone_error_code CheckSymbols(hone_elf* elf, hone_error* error) {
  if (elf->symbols == 0 || elf->strings == 0 || !CountSymbols(elf)) {
    return hone_fail(error, HONE_ERROR_MALFORMED, "kernel code: no readable symbol table");
  }
  if (elf->symbol_count > elf->image_bytes / sizeof(ElfW(Sym)) ||
      !Inside(elf->symbols, elf->symbol_count * sizeof(ElfW(Sym)), elf->image_bytes) ||
      !Inside(elf->strings, elf->string_bytes, elf->image_bytes) || elf->string_bytes == 0 ||
      elf->image[elf->strings + elf->string_bytes - 1] != '\0') {
    return Truncated(error, "the symbol table");
  }
  for (uint64_t i = 1; i < elf->symbol_count; ++i) {
    ElfW(Sym) symbol;
    ReadImage(elf, elf->symbols + i * sizeof(symbol), &symbol, sizeof(symbol));
    if (symbol.st_name >= elf->string_bytes) return Truncated(error, "a symbol's name");
    if (symbol.st_shndx == SHN_UNDEF) {
      return hone_fail(error, HONE_ERROR_UNSUPPORTED,
                       "kernel code: undefined symbol '%.100s'; a kernel calls no library",
                       (const char*)elf->image + elf->strings + symbol.st_name);
    }
  }
  /* Only now: an undefined symbol causes a relocation, and its name helps more. */
  if (elf->has_relocations) {
    return hone_fail(error, HONE_ERROR_UNSUPPORTED,
                     "kernel code: has dynamic relocations; a kernel refers to nothing by absolute "
                     "address");
  }
  return HONE_OK;
}

static hone_error_code Seal(hone_elf* elf, uint64_t page_bytes, hone_error* error) {
  bool sealed = mprotect(elf->image, elf->image_bytes, PROT_READ) == 0;
  for (int i = 0; i < elf->segment_count && sealed; ++i) {
    const Segment* segment = &elf->segments[i];
    if (!segment->executable || segment->begin == segment->end) continue;
    const uint64_t begin = segment->begin / page_bytes * page_bytes;
    const uint64_t end = RoundUp(segment->end, page_bytes);
    sealed = mprotect(elf->image + begin, end - begin, PROT_READ | PROT_EXEC) == 0;
    __builtin___clear_cache((char*)elf->image + begin, (char*)elf->image + end);
  }
  if (sealed) return HONE_OK;
  return hone_fail(error, HONE_ERROR_IO, "kernel code: cannot make it executable: %s",
                   strerror(errno));
}

static hone_error_code Load(const File* file, hone_elf* elf, hone_error* error) {
  ElfW(Ehdr) header;
  ElfW(Phdr) loads[kSegmentsMax];
  uint64_t image_end;
  const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
  hone_error_code code = CheckHeader(file, &header, error);
  if (code == HONE_OK) code = ReadSegments(file, &header, elf, loads, &image_end, error);
  if (code == HONE_OK) code = RefuseWritableData(elf, error);
  if (code != HONE_OK) return code;
  elf->image_bytes = (size_t)RoundUp(image_end, page_bytes);
  code = CopySegments(file, elf, loads, error);
  if (code == HONE_OK) code = ReadDynamic(elf, error);
  if (code == HONE_OK) code = CheckSymbols(elf, error);
  if (code == HONE_OK) code = Seal(elf, page_bytes, error);
  return code;
}

hone_elf* hone_elf_load(const void* bytes, size_t size, hone_error* error) {
  hone_elf* elf = calloc(1, sizeof(*elf));
  if (elf == NULL) {
    hone_fail(error, HONE_ERROR_NO_MEMORY, "kernel code: no memory to load it");
    return NULL;
  }
  const File file = {.bytes = bytes, .size = size};
  if (Load(&file, elf, error) == HONE_OK) return elf;
  hone_elf_unload(elf);
  return NULL;
}

hone_elf* hone_elf_load_file(const char* path, hone_error* error) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat info;
  if (fd < 0 || fstat(fd, &info) != 0) {
    hone_fail(error, HONE_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    return NULL;
  }
  if (!S_ISREG(info.st_mode) || info.st_size == 0) {
    hone_fail(error, HONE_ERROR_MALFORMED, "%s: not a file with anything in it", path);
    close(fd);
    return NULL;
  }
  const size_t size = (size_t)info.st_size;
  void* bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
  if (bytes == MAP_FAILED) {
    hone_fail(error, HONE_ERROR_IO, "%s: cannot map: %s", path, strerror(errno));
    return NULL;
  }
  hone_elf* elf = hone_elf_load(bytes, size, error);
  munmap(bytes, size);
  return elf;
}

void* hone_elf_function(const hone_elf* elf, const char* name) {
  for (uint64_t i = 1; i < elf->symbol_count; ++i) {
    ElfW(Sym) symbol;
    ReadImage(elf, elf->symbols + i * sizeof(symbol), &symbol, sizeof(symbol));
    if (SYMBOL_TYPE(symbol.st_info) != STT_FUNC ||
        strcmp((const char*)elf->image + elf->strings + symbol.st_name, name) != 0) {
      continue;
    }
    for (int s = 0; s < elf->segment_count; ++s) {
      const Segment* segment = &elf->segments[s];
      if (segment->executable && symbol.st_value >= segment->begin &&
          symbol.st_value < segment->end) {
        return elf->image + symbol.st_value;
      }
    }
  }
  return NULL;
}

void hone_elf_unload(hone_elf* elf) {
  if (elf == NULL) return;
  if (elf->image != NULL) munmap(elf->image, elf->image_bytes);
  free(elf);
}
