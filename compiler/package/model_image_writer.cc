#include "compiler/package/model_image_writer.h"

#include <cstring>
#include <utility>

#include "base/digest.h"
#include "runtime/kernel.h"

// Header, tables, strings, then the blobs, each at a multiple of 64 bytes from the header.

namespace hone {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is little-endian");

uint64_t AlignUp(uint64_t bytes, uint64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

// Appends records at a multiple of 8 bytes.
template <typename Record>
hone_model_table AppendTable(const std::vector<Record>& records, std::string* image) {
  image->resize(AlignUp(image->size(), 8), '\0');
  const hone_model_table table = {.offset = image->size(), .count = records.size()};
  image->append(reinterpret_cast<const char*>(records.data()), records.size() * sizeof(Record));
  return table;
}

template <typename Record>
uint64_t TableBytes(const std::vector<Record>& records) {
  return AlignUp(records.size() * sizeof(Record), 8);
}

}  // namespace

uint32_t ModelImageWriter::AddString(absl::string_view text) {
  const auto [entry, is_new] =
      string_offsets_.emplace(std::string(text), static_cast<uint32_t>(strings_.size()));
  if (is_new) {
    strings_.append(text.data(), text.size());
    strings_.push_back('\0');
  }
  return entry->second;
}

uint64_t ModelImageWriter::AddBlob(std::string bytes) {
  const auto [entry, is_new] = blob_offsets_.emplace(Digest(bytes), blob_bytes_);
  if (is_new) {
    blob_bytes_ += AlignUp(bytes.size(), HONE_ALIGNMENT);
    blobs_.push_back(std::move(bytes));
  }
  return entry->second;
}

uint32_t ModelImageWriter::AddKernel(const hone_model_kernel& kernel) {
  kernels_.push_back(kernel);
  return static_cast<uint32_t>(kernels_.size() - 1);
}

uint32_t ModelImageWriter::AddSize(const hone_model_size& size) {
  sizes_.push_back(size);
  return static_cast<uint32_t>(sizes_.size() - 1);
}

void ModelImageWriter::AddInstruction(hone_model_instruction instruction,
                                      const std::vector<hone_model_operand>& operands) {
  instruction.first_operand = static_cast<uint32_t>(operands_.size());
  instruction.operand_count = static_cast<uint32_t>(operands.size());
  operands_.insert(operands_.end(), operands.begin(), operands.end());
  instructions_.push_back(instruction);
}

std::string ModelImageWriter::Finish(hone_model_header header) {
  if (strings_.empty()) AddString("");
  uint64_t blobs_at = sizeof(header) + TableBytes(inputs_) + TableBytes(outputs_) +
                      TableBytes(kernels_) + TableBytes(instructions_) + TableBytes(operands_) +
                      TableBytes(params_) + TableBytes(sizes_) + AlignUp(strings_.size(), 8);
  blobs_at = AlignUp(blobs_at, HONE_ALIGNMENT);
  for (hone_model_kernel& kernel : kernels_) kernel.code_offset += blobs_at;
  for (hone_model_operand& operand : operands_) {
    if (operand.place == HONE_PLACE_CONSTANT) operand.offset += blobs_at;
  }

  std::string image(sizeof(header), '\0');
  image.reserve(blobs_at + blob_bytes_);
  std::memcpy(header.magic, HONE_MODEL_MAGIC, sizeof(header.magic));
  header.version = HONE_MODEL_VERSION;
  header.header_bytes = sizeof(header);
  header.inputs = AppendTable(inputs_, &image);
  header.outputs = AppendTable(outputs_, &image);
  header.kernels = AppendTable(kernels_, &image);
  header.instructions = AppendTable(instructions_, &image);
  header.operands = AppendTable(operands_, &image);
  header.params = AppendTable(params_, &image);
  header.sizes = AppendTable(sizes_, &image);
  header.strings = {.offset = image.size(), .count = strings_.size()};
  image += strings_;
  image.resize(blobs_at, '\0');
  for (const std::string& blob : blobs_) {
    image += blob;
    image.resize(AlignUp(image.size(), HONE_ALIGNMENT), '\0');
  }
  header.total_bytes = image.size();
  header.table_bytes = blobs_at;
  header.checksum = 0;
  std::memcpy(image.data(), &header, sizeof(header));
  header.checksum = hone_model_checksum(HONE_MODEL_CHECKSUM_START, image.data(), blobs_at);
  std::memcpy(image.data(), &header, sizeof(header));
  return image;
}

}  // namespace hone
