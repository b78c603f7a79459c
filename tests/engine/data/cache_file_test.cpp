#include "engine/data/cache_file.h"

#include <gtest/gtest.h>

#include "tests/temporary_folder.h"

namespace tdds {
namespace {

TEST(CacheFileTest, TheLengthSaysHowManyRecordsItHas) {
  const test::TemporaryFolder folder;
  const auto layout =
      std::make_shared<const CacheLayout>(CacheLayout{.size = 2, .files = {"a.png", "b.png", "c.png"}});
  const std::size_t record = layout->record_bytes(), whole = 3 * record + sizeof(Sha256);
  EXPECT_EQ(record, 1 + 12 + 4 + sizeof(FileStamp) + 4);
  EXPECT_EQ(layout->cache_bytes(), whole);
  const auto file_of = [&](std::size_t bytes) {
    test::write_text(folder / "cache", std::string(bytes, 'x'));
    return CacheFile(folder / "cache", layout);
  };
  for (const std::size_t records : {0, 1, 2, 3}) {
    const CacheFile least = file_of(records * record);
    EXPECT_EQ(least.records(), records);
    EXPECT_FALSE(least.complete());
    const std::size_t most = records == 3 ? whole - 1 : (records + 1) * record - 1;
    EXPECT_EQ(file_of(most).records(), records);
  }
  EXPECT_FALSE(file_of(whole - 1).complete());
  EXPECT_EQ(file_of(whole).records(), 3U);
  EXPECT_TRUE(file_of(whole).complete());
  EXPECT_EQ(file_of(whole + 1).records(), 0U) << "of another layout";
  EXPECT_FALSE(file_of(whole + 1).complete());
}

}  // namespace
}  // namespace tdds
