#include "framework/tensor_files/npy.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "framework/base/error.hpp"
#include "framework/tensor_files/data_file.hpp"

namespace maskerade {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxAxes = 64;  // NumPy has the same limit
constexpr std::uint64_t kMaxHeaderBytes = 1'000'000;

// The three entries of an npy file's header, as the file has them.
struct Header {
  std::string descr;
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

// Reads the header, which is the text of a Python dictionary such as
// {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }. It must have exactly these keys, in
// any order, and strings without escapes. Throws DataError on anything else.
class HeaderParser {
 public:
  HeaderParser(const std::string& file, std::string_view text) : file_(file), text_(text) {}

  Header parse() {
    Header header;
    std::array<bool, 3> seen{};
    expect('{');
    while (!accept('}')) {
      const std::string key = parse_string("a key in quotes");
      expect(':');
      const std::size_t index = key == "descr"           ? 0
                                : key == "fortran_order" ? 1
                                : key == "shape"         ? 2
                                                         : 3;
      if (index == 3) {
        refuse(
            fmt::format("the header has the key '{}'; its keys are descr, fortran_order and "
                        "shape",
                        printable(key)));
      }
      if (std::exchange(seen[index], true)) refuse(fmt::format("the header has '{}' twice", key));
      if (index == 0) header.descr = parse_descr();
      if (index == 1) header.fortran_order = parse_bool();
      if (index == 2) header.shape = parse_shape();
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (at_ != text_.size()) fail("the end of the header");
    constexpr std::array<const char*, 3> kKeys = {"descr", "fortran_order", "shape"};
    for (std::size_t i = 0; i < kKeys.size(); ++i) {
      if (!seen[i]) refuse(fmt::format("the header has no '{}'", kKeys[i]));
    }
    return header;
  }

 private:
  [[noreturn]] void refuse(const std::string& message) const {
    throw DataError(file_, "", message);
  }
  [[noreturn]] void fail(const std::string& expected) const {
    refuse(fmt::format("the header is no dictionary that NumPy writes: at byte {} there must be {}",
                       at_, expected));
  }

  // The beginning of a text from the file for an error message, without control characters.
  static std::string printable(std::string_view text) {
    std::string shown;
    for (const char c : text.substr(0, 40)) shown += c >= ' ' && c <= '~' ? c : '?';
    return shown;
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool accept(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(fmt::format("'{}'", c));
  }
  bool accept_word(std::string_view word) {
    skip_space();
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  std::string parse_string(const std::string& what) {
    skip_space();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) fail(what);
    const std::size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos) fail(what);
    const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
    if (inside.find('\\') != std::string_view::npos) fail(what);
    at_ = end + 1;
    return std::string(inside);
  }

  std::string parse_descr() {
    skip_space();
    if (at_ < text_.size() && text_[at_] == '[') {
      refuse("the array is one of records; it must be one of <f4 or <f2 numbers");
    }
    return parse_string("an element type in quotes, such as '<f4'");
  }

  bool parse_bool() {
    if (accept_word("True")) return true;
    if (accept_word("False")) return false;
    fail("True or False");
  }

  std::vector<std::int64_t> parse_shape() {
    std::vector<std::int64_t> shape;
    expect('(');
    while (!accept(')')) {
      if (shape.size() == kMaxAxes) {
        refuse(fmt::format("the header's shape has more than {} axes", kMaxAxes));
      }
      shape.push_back(parse_size());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }

  std::int64_t parse_size() {
    skip_space();
    std::int64_t size = 0;
    const char* begin = text_.data() + at_;
    const auto [end, status] = std::from_chars(begin, text_.data() + text_.size(), size);
    if (status != std::errc{} || size < 0) fail("a size: a whole number from 0");
    at_ += static_cast<std::size_t>(end - begin);
    return size;
  }

  const std::string& file_;
  std::string_view text_;
  std::size_t at_ = 0;
};

// The bytes of one element of a type. Throws DataError unless it is one of those that are read.
std::uint64_t element_bytes(const std::string& file, const std::string& descr) {
  constexpr std::string_view kUse = "use <f4 or <f2, or a safetensors file";
  if (descr.size() > 1 && descr[0] == '>') {
    throw DataError(file, "",
                    fmt::format("its type {} is big-endian; only little-endian arrays are read: "
                                "save x.astype(x.dtype.newbyteorder('<'))",
                                descr));
  }
  if (descr == "|V2" || descr == "<V2" || descr == "bfloat16") {
    throw DataError(file, "",
                    fmt::format("its type is {}: npy has no bfloat16; store bfloat16 in a "
                                "safetensors file, or save float32 or float16",
                                descr));
  }
  constexpr std::array<std::pair<std::string_view, std::uint64_t>, 7> kTypes = {
      {{"<f4", 4}, {"<f2", 2}, {"<f8", 8}, {"<i4", 4}, {"<i8", 8}, {"|u1", 1}, {"|b1", 1}}};
  for (const auto& [name, bytes] : kTypes) {
    if (name == descr) return bytes;
  }
  std::string shown;
  for (const char c : descr.substr(0, 40)) shown += c >= ' ' && c <= '~' ? c : '?';
  throw DataError(file, "", fmt::format("its type '{}' is not read; {}", shown, kUse));
}

// Where in the file the header's text lies, in bytes: [begin, end).
struct HeaderRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// Finds the header's text. Throws DataError when the file does not begin as an npy file does.
HeaderRange find_header(const DataFile& data) {
  const std::string& file = data.name();
  std::array<std::byte, 12> start{};  // magic, version, and a header length of 2 or 4 bytes
  data.read(0, std::span(start).first(std::min<std::uint64_t>(data.size(), start.size())));
  const auto byte = [&](std::uint64_t i) { return std::to_integer<std::uint64_t>(start[i]); };
  const std::size_t known = std::min<std::uint64_t>(data.size(), kMagic.size());
  if (known == 0 || std::memcmp(start.data(), kMagic.data(), known) != 0) {
    throw DataError(file, "",
                    "this is no npy file: it does not begin with the magic \\x93NUMPY (an .npz "
                    "file is an archive of npy files: unpack it)");
  }
  constexpr std::uint64_t kShortest = 10;  // magic, version, and a header length of 2 bytes
  if (data.size() < kShortest) {
    throw DataError(file, "",
                    fmt::format("the file has {} bytes; an npy file begins with at least {}: "
                                "magic, version and header length",
                                data.size(), kShortest));
  }
  const std::uint64_t major = byte(6);
  const std::uint64_t minor = byte(7);
  if (major < 1 || major > 3 || minor != 0) {
    throw DataError(file, "",
                    fmt::format("its format version is {}.{}; versions 1.0, 2.0 and 3.0 are read",
                                major, minor));
  }
  const std::uint64_t length_bytes = major == 1 ? 2 : 4;
  const std::uint64_t begin = 8 + length_bytes;
  if (data.size() < begin) {
    throw DataError(file, "",
                    fmt::format("the file has {} bytes; a version {}.0 file begins with at least "
                                "{}: magic, version and header length",
                                data.size(), major, begin));
  }
  std::uint64_t length = 0;
  for (std::uint64_t i = 0; i < length_bytes; ++i) length |= byte(8 + i) << (8 * i);
  if (length > data.size() - begin) {
    throw DataError(
        file, "",
        fmt::format("the file says that its header has {} bytes, but only {} follow: the "
                    "file is truncated, or no npy file",
                    length, data.size() - begin));
  }
  if (length > kMaxHeaderBytes) {
    throw DataError(file, "",
                    fmt::format("the file says that its header has {} bytes; the limit is {}",
                                length, kMaxHeaderBytes));
  }
  return {begin, begin + length};
}

}  // namespace

NpyFile NpyFile::open(const std::filesystem::path& path) {
  NpyFile file(DataFile::open(path.string()));
  const std::string& name = file.file_.name();
  const auto [begin, end] = find_header(file.file_);
  std::string text(end - begin, '\0');
  file.file_.read(begin, std::as_writable_bytes(std::span(text)));
  Header header = HeaderParser(name, text).parse();
  std::uint64_t bytes = element_bytes(name, header.descr);
  if (header.fortran_order) {
    throw DataError(name, "",
                    "the array is in Fortran order; save it in C order: numpy.save(file, "
                    "numpy.ascontiguousarray(x))");
  }
  const bool overflows =
      std::any_of(header.shape.begin(), header.shape.end(), [&](std::int64_t size) {
        return __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes);
      });
  const std::uint64_t stored = file.file_.size() - end;
  if (overflows || bytes != stored) {
    throw DataError(name, "",
                    fmt::format("shape ({}) of {} takes {} bytes, but {} follow the header",
                                fmt::join(header.shape, ", "), header.descr,
                                overflows ? "too many" : std::to_string(bytes), stored));
  }
  file.descr_ = std::move(header.descr);
  file.shape_ = std::move(header.shape);
  file.data_begin_ = end;
  return file;
}

std::vector<std::byte> NpyFile::read_bytes() const {
  std::vector<std::byte> bytes(file_.size() - data_begin_);
  file_.read(data_begin_, bytes);
  return bytes;
}

TensorView NpyFile::describe(TensorLayout layout) const {
  if (descr_ != "<f4" && descr_ != "<f2") {
    throw DataError(file_.name(), "", fmt::format("its type is {}; it must be <f4 or <f2", descr_));
  }
  if (!is_attention_shape(shape_)) {
    throw DataError(file_.name(), "",
                    fmt::format("its shape is ({}); it must be {}, each at least 1",
                                fmt::join(shape_, ", "), axes_of(layout)));
  }
  const DType dtype = descr_ == "<f4" ? DType::kFloat32 : DType::kFloat16;
  return view_of_layout(nullptr, dtype, shape_, layout);
}

Tensor NpyFile::tensor(TensorLayout layout) const {
  return read_tensor(file_, data_begin_, describe(layout));
}

std::vector<std::int64_t> NpyFile::integers() const {
  if (descr_ != "<i8" && descr_ != "<i4") {
    throw DataError(file_.name(), "", fmt::format("its type is {}; it must be <i8 or <i4", descr_));
  }
  return load_integers(read_bytes(), descr_ == "<i8" ? 8 : 4);
}

}  // namespace maskerade
