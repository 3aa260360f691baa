#include "experiments/config/yaml_tree.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace maskerade {
namespace {

// The message of the ConfigError that parsing gives, or "accepted".
std::string parse_error(const std::string& text) {
  try {
    parse_yaml(text, "x.yaml");
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

std::string position_text(const YamlNode& node) { return node.position.to_string(); }

TEST(YamlTree, EveryValueKnowsItsPlace) {
  const YamlNode root = parse_yaml("a: 1\nb:\n  - {c: 'd'}\n  - [x, y]\n", "x.yaml");
  ASSERT_TRUE(root.is_mapping());
  EXPECT_EQ(position_text(root.find("a")->value), "x.yaml:1:4");
  const YamlNode& list = root.find("b")->value;
  EXPECT_EQ(position_text(list), "x.yaml:3:3");
  EXPECT_EQ(list.items[0].find("c")->key_position.to_string(), "x.yaml:3:6");
  EXPECT_EQ(position_text(list.items[0].find("c")->value), "x.yaml:3:9");
  EXPECT_EQ(position_text(list.items[1].items[1]), "x.yaml:4:9");
}

TEST(YamlTree, QuotesAreRemembered) {
  const YamlNode root = parse_yaml("- 128\n- '128'\n- \"128\"\n- |-\n  128\n", "x.yaml");
  ASSERT_EQ(root.items.size(), 4U);
  EXPECT_FALSE(root.items[0].quoted);
  for (std::size_t i = 1; i < 4; ++i) EXPECT_TRUE(root.items[i].quoted);
  for (const YamlNode& item : root.items) EXPECT_EQ(item.text, "128");
}

TEST(YamlTree, ScalarsStayAsWritten) {
  const YamlNode root = parse_yaml("[012, 1e3, 5%, yes, 0x10, 5% of visible]", "x.yaml");
  EXPECT_EQ(root.to_text(), "[012, 1e3, 5%, yes, 0x10, 5% of visible]");
}

TEST(YamlTree, EmptyValuesStandAtTheirKey) {
  const YamlNode root = parse_yaml("a:\nb: ~\nc: 1\n", "x.yaml");
  EXPECT_TRUE(root.find("a")->value.is_empty());
  EXPECT_EQ(position_text(root.find("a")->value), "x.yaml:1:1");
  EXPECT_TRUE(root.find("b")->value.is_empty());
  EXPECT_EQ(position_text(root.find("b")->value), "x.yaml:2:1");
}

TEST(YamlTree, AnAliasStandsAtItsOwnPlace) {
  const YamlNode root = parse_yaml("a: &list [1, 2]\nb: *list\n", "x.yaml");
  const YamlNode& alias = root.find("b")->value;
  EXPECT_EQ(alias.to_text(), "[1, 2]");
  EXPECT_EQ(position_text(alias), "x.yaml:2:4");
  EXPECT_EQ(position_text(alias.items[1]), "x.yaml:1:14");
}

TEST(YamlTree, NothingAtAllIsEmpty) {
  EXPECT_TRUE(parse_yaml("", "x.yaml").is_empty());
  EXPECT_TRUE(parse_yaml("# only a comment\n", "x.yaml").is_empty());
}

TEST(YamlTree, CarriageReturnsAndAByteOrderMarkDoNotMatter) {
  const YamlNode root = parse_yaml(
      "\xEF\xBB\xBF"
      "a: 1\r\nb: 'x'\r\n",
      "x.yaml");
  EXPECT_EQ(root.to_text(), "{a: 1, b: x}");
}

TEST(YamlTree, DuplicateKeysNameBothLines) {
  EXPECT_EQ(parse_error("a: 1\nb: 2\na: 3\n"),
            "x.yaml:3:1: duplicate key \"a\"; it is already on line 1");
  EXPECT_EQ(parse_error("m: {x: 1, y: 2, x: 3}"),
            "x.yaml:1:17: duplicate key \"x\"; it is already on line 1");
}

TEST(YamlTree, MergeKeysAreRefused) {
  EXPECT_EQ(parse_error("a: &m {x: 1}\nb:\n  <<: *m\n"),
            "x.yaml:3:3: merge keys (<<) are not supported; repeat the entries, or use `let`");
}

TEST(YamlTree, SecondDocumentsAreRefused) {
  EXPECT_EQ(parse_error("a: 1\n---\nb: 2\n"),
            "x.yaml:2:1: a second YAML document begins here; a file holds one experiment, so "
            "remove the line \"---\"");
}

TEST(YamlTree, KeysThatAreNoNamesAreRefused) {
  EXPECT_EQ(parse_error("? [1, 2]\n: 3\n"), "x.yaml:1:3: a list cannot be a key; a key is a name");
  EXPECT_EQ(parse_error("? {a: 1}\n: 3\n"),
            "x.yaml:1:3: a mapping cannot be a key; a key is a name");
  EXPECT_EQ(parse_error("a: 1\n'': 3\n"), "x.yaml:2:1: a key is \"\" in quotes; a key is a name");
  EXPECT_EQ(parse_error("a: 1\n~: 3\n"), "x.yaml:2:1: a key is empty; a key is a name");
}

TEST(YamlTree, TabsInTheIndentationAreRefused) {
  EXPECT_EQ(parse_error("a:\n\tb: 1\n"),
            "x.yaml:2:1: there is a tab in the indentation; use spaces");
  EXPECT_EQ(parse_error("a:\n  \tb: 1\n"),
            "x.yaml:2:3: there is a tab in the indentation; use spaces");
  EXPECT_EQ(parse_error("a: 1\n  \t\nb: 2\n"),
            "x.yaml:2:3: there is a tab in the indentation; use spaces");
  EXPECT_EQ(parse_error("b: 'xy'\t# tab\n"), "accepted");
}

TEST(YamlTree, AMissingSpaceAfterTheColonIsFound) {
  EXPECT_EQ(parse_error("m: {a:1, b: 2}"),
            "x.yaml:1:5: \"a:1\" has no value; write a space after the colon");
}

TEST(YamlTree, TagsAreRefused) {
  EXPECT_EQ(parse_error("a: !!int 3\n"),
            "x.yaml:1:4: YAML tags (!name) are not used here; remove the tag");
}

TEST(YamlTree, QuotesMustBeClosed) {
  EXPECT_EQ(parse_error("a: \"x\nb: 2\n"),
            "x.yaml:1:4: this quote is not closed; add the closing \"");
  EXPECT_EQ(parse_error("a: 'it''s\n"), "x.yaml:1:4: this quote is not closed; add the closing '");
  EXPECT_EQ(parse_error("a: 'it''s'\nb: \"\\\"\"\nc: ''\n"), "accepted");
}

TEST(YamlTree, TextThatIsNotYamlIsRefusedWithItsPlace) {
  const auto begin = [](const std::string& text, std::size_t length) {
    return parse_error(text).substr(0, length);
  };
  EXPECT_EQ(begin("a: 1\n b: 2\n", 36), "x.yaml:2:3: this is not valid YAML (");
  EXPECT_EQ(begin("a: b: c\n", 36), "x.yaml:1:5: this is not valid YAML (");
  EXPECT_EQ(begin("a: *nothing\n", 36), "x.yaml:1:4: this is not valid YAML (");
  EXPECT_EQ(begin("a: [1,\n", 36), "x.yaml:2:1: this is not valid YAML (");
}

TEST(YamlTree, AnAliasInsideItsOwnAnchorIsRefused) {
  EXPECT_EQ(
      parse_error("a: &r [*r]\n"),
      "x.yaml:1:8: this alias stands inside the value of its own anchor; write the value out");
}

TEST(YamlTree, AliasesCannotMultiplyWithoutBound) {
  std::string text = "a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]\n";
  for (int i = 1; i < 12; ++i) {
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 9; ++j) text += "*a" + std::to_string(i - 1) + (j < 8 ? ", " : "]\n");
  }
  EXPECT_NE(
      parse_error(text).find("the text has more than 100000 values, those that aliases repeat "
                             "included; shorten it"),
      std::string::npos);
}

TEST(YamlTree, ControlCharactersAreRefused) {
  const std::string begin = "x.yaml:1:1: a text holds the control character ";
  EXPECT_EQ(parse_error("\"a\\e[2J\": 1\n"), begin + "\\x1b; remove it");
  EXPECT_EQ(parse_error("\"a\\x7F\": 1\n"), begin + "\\x7f; remove it");
  EXPECT_EQ(parse_error("a: ['b', \"c\\0\"]\n"),
            "x.yaml:1:10: a text holds the control character \\x00; remove it");
  EXPECT_EQ(parse_error("a: |\n  b\n"),
            "x.yaml:1:4: this text has several lines; write it on one line");
  EXPECT_EQ(parse_error("a: |-\n  \u00fc\n"), "accepted");
}

TEST(YamlTree, DepthIsBounded) {
  EXPECT_EQ(parse_error(std::string(90, '[') + std::string(90, ']')), "accepted");
  EXPECT_NE(parse_error(std::string(120, '[') + std::string(120, ']'))
                .find("nested more than 100 levels deep; nest them less"),
            std::string::npos);
}

TEST(YamlTree, FilesThatCannotBeReadAreErrors) {
  const auto read_error = [](const std::string& file) -> std::string {
    try {
      read_yaml_file(file);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(read_error("/no/such/file.yaml"), "/no/such/file.yaml: there is no such file");
  EXPECT_EQ(read_error("/tmp"), "/tmp: this is a folder; name an experiment file in it");
  EXPECT_EQ(read_error(""), "the name of the experiment file is empty; name a YAML file");
  EXPECT_EQ(read_error("/dev/zero"),
            "/dev/zero: this is no regular file; save the experiment in one");
  std::string large = (std::filesystem::temp_directory_path() / "maskerade_XXXXXX").string();
  close(mkstemp(large.data()));
  std::filesystem::resize_file(large, 64'000'001);
  EXPECT_EQ(read_error(large),
            large + ": the file has 64000001 bytes; an experiment file has at most 64000000");
  std::filesystem::remove(large);
}

}  // namespace
}  // namespace maskerade
