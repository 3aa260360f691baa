#include "experiments/results/json_lines_writer.hpp"

#include "experiments/results/cell_json.hpp"

namespace maskerade {

void JsonLinesWriter::write(const CellResult& result) { file_.append(to_json_line(result) + "\n"); }

}  // namespace maskerade
