// A user's own images through the real programs: folders and arrays, cached, scored and corrupted.

#include <algorithm>

#include "engine/data/manifest.h"
#include "tests/apps/train/folder_run.h"
#include "tests/engine/npy_files.h"
#include "tests/paths.h"

namespace tdds::test {
namespace {

class FolderProgramTest : public FolderTest {};

TEST_F(FolderProgramTest, IsTrainedOnScoredAndPruned) {
  write_images();
  const Outcome trained = train({"--cache_dir", folder_ / "cache"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  for (const char* part : {"decoding 20 images of", "MB in", "20 training images, 4 test images, 2 classes",
                           "were decoded in", "images/s"})
    EXPECT_NE(trained.out.find(part), std::string::npos) << part << "\n" << trained.out;
  EXPECT_NE(read_text(run_ + "/log.txt").find("were decoded in"), std::string::npos);

  const Manifest manifest = read_manifest(run_ + "/manifest.tsv");
  ASSERT_EQ(manifest.files.size(), 20u);
  EXPECT_EQ(manifest.files[0], "cat/0.png");
  EXPECT_EQ(manifest.folder, data_ + "/train");
  EXPECT_EQ(manifest.bytes[0], png(0).size());
  bool in_cache = false;
  for (const auto& entry : fs::directory_iterator(folder_ / "cache"))
    if (entry.path().string().ends_with(".manifest.tsv"))
      in_cache |= read_manifest(entry.path().string()).hash() == manifest.hash();
  EXPECT_TRUE(in_cache);

  ASSERT_EQ(score().exit_code, 0);
  EXPECT_EQ(Json::parse(read_text(masks_ + "/score_win3_ep3.json")).at("manifest"), manifest.hash());
  const Outcome again = train_subset({"--cache_dir", folder_ / "cache"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_NE(again.out.find("20 images of " + data_ + "/train were taken from"), std::string::npos)
      << again.out;
}

TEST_F(FolderProgramTest, AMaskMadeForOtherDataIsRefused) {
  write_images();
  ASSERT_EQ(train().exit_code, 0);
  ASSERT_EQ(score().exit_code, 0);
  EXPECT_EQ(train_subset({"--image_size", "16"}).exit_code, 0) << "the same files at another size";
  fs::rename(data_ + "/train/dog/9.png", data_ + "/train/dog/other.png");
  EXPECT_EQ(train_subset().exit_code, 0) << "the same pixels";
  expect_refused(train_subset({"--image_size", "16"}), "the scores are of other data", "tdds-train-subset");
  put(data_ + "/train/dog/5.png", png(77));
  expect_refused(train_subset(), "the scores are of other data", "tdds-train-subset");
}

TEST_F(FolderProgramTest, EveryFormOfImageIsTrainedOn) {
  for (const std::string name : {"cat", "dog"})
    for (const auto& entry : fs::directory_iterator(golden_path("images")))
      for (const char* split : {"/train/", "/val/"})
        put(data_ + split + name + "/" + entry.path().filename().string(), read_text(entry.path().string()));
  for (int i = 0; i < 4; ++i) put(data_ + "/train/cat/size" + std::to_string(i) + ".png", png(i, 5 + 9 * i));
  for (const char* rotate : {"--exif_rotate=false", "--exif_rotate"}) {
    const Outcome trained = train({rotate});
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    EXPECT_NE(trained.out.find("28 training images, 24 test images"), std::string::npos) << trained.out;
    EXPECT_EQ(score().exit_code, 0);
  }
}

TEST_F(FolderProgramTest, ImagesLargerThanTheMemoryGiveTheSameRun) {
  write_images();
  ASSERT_EQ(train().exit_code, 0);
  const std::string weights = read_text(run_ + "/model_last.safetensors");
  ASSERT_EQ(score().exit_code, 0);
  const std::string scores = read_text(masks_ + "/score_win3_ep3.npy");
  expect_refused(train({"--data_memory", "1e-9"}), "give --cache_dir");
  for (int round = 0; round < 2; ++round) {
    const Outcome streamed = train({"--data_memory", "1e-9", "--cache_dir", folder_ / "cache"});
    ASSERT_EQ(streamed.exit_code, 0) << streamed.err;
    EXPECT_NE(streamed.out.find("they stay on the disk"), std::string::npos) << streamed.out;
    EXPECT_NE(streamed.out.find("the steps waited"), std::string::npos) << streamed.out;
    EXPECT_TRUE(read_text(run_ + "/model_last.safetensors") == weights);
    ASSERT_EQ(score().exit_code, 0);
    EXPECT_TRUE(read_text(masks_ + "/score_win3_ep3.npy") == scores);
  }
  EXPECT_EQ(train_subset().exit_code, 0) << "a mask of the same files";
}

TEST_F(FolderProgramTest, TheKeptFilesAreExported) {
  write_images();
  put(data_ + "/train/dog/a, \"b\".png", png(55));
  put(data_ + "/train/dog/c.png", png(56));
  ASSERT_EQ(train().exit_code, 0);
  const std::string kept = folder_ / "kept", stem = kept + "/tdds_win3_ep3_top_rate0.5";
  const Outcome exported =
      score({"--subset_rate", "0.5", "--export", "list,csv,links", "--export_dir", kept});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  const std::string list = read_text(stem + ".txt"), csv = read_text(stem + ".csv");
  EXPECT_EQ(std::count(list.begin(), list.end(), '\n'), 11);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 12);
  EXPECT_EQ(csv.rfind("id,path,label,class,score\n", 0), 0u) << csv;
  ASSERT_EQ(score({"--keep", "22", "--export", "csv", "--export_dir", kept}).exit_code, 0);
  EXPECT_NE(read_text(kept + "/tdds_win3_ep3_top_keep22.csv")
                .find(",\"" + data_ + "/train/dog/a, \"\"b\"\".png\",1,dog,"),
            std::string::npos);
  int links = 0;
  for (const auto& entry : fs::recursive_directory_iterator(stem)) {
    if (!entry.is_symlink()) continue;
    ++links;
    EXPECT_NE(list.find(fs::read_symlink(entry.path()).string() + "\n"), std::string::npos) << entry.path();
    EXPECT_TRUE(fs::exists(entry.path()));
  }
  EXPECT_EQ(links, 11);
  // The links are a data set themselves.
  const Outcome on_links = train({"--data_path", stem, "--val_fraction", "0.3", "--batch-size", "4"});
  EXPECT_EQ(on_links.exit_code, 0) << on_links.err;
}

TEST_F(FolderProgramTest, NamesWhatCannotBeExported) {
  write_images();
  ASSERT_EQ(train().exit_code, 0);
  const std::vector<std::string> links{"--subset_rate", "0.5",          "--export",
                                       "links",         "--export_dir", folder_ / "kept"};
  EXPECT_EQ(score({"--export", "links", "--export_dir", folder_ / "kept"}).exit_code, 2);
  EXPECT_EQ(score({"--subset_rate", "0.5", "--export", "links"}).exit_code, 2);
  EXPECT_EQ(score({"--subset_rate", "0.5", "--export", "zip", "--export_dir", "x"}).exit_code, 2);
  ASSERT_EQ(score(links).exit_code, 0);
  expect_refused(score(links), "exists already", "tdds-score");
  fs::remove_all(folder_ / "kept");
  fs::rename(data_, folder_ / "moved");
  expect_refused(score(links), "give --data_path", "tdds-score");
  EXPECT_EQ(score(with(links, {"--data_path", folder_ / "moved"})).exit_code, 0);
  const std::string manifest = read_text(run_ + "/manifest.tsv");
  write_text(run_ + "/manifest.tsv", manifest.substr(0, manifest.rfind('\n', manifest.size() - 2) + 1));
  expect_refused(score(links), "does not belong to the data that", "tdds-score");
  fs::remove(run_ + "/manifest.tsv");
  expect_refused(score(links), "manifest.tsv cannot be read", "tdds-score");
  const Outcome shapes = train({"--dataset", "shapes", "--shapes_train", "40", "--shapes_test", "20"});
  ASSERT_EQ(shapes.exit_code, 0) << shapes.err;
  expect_refused(score(links), "was not recorded on a data set of image files", "tdds-score");
}

TEST_F(FolderProgramTest, LabelNoiseAndCorruptionAreRecordedAndEvaluated) {
  write_images();
  const std::vector<std::string> planted{
      "--label_noise",      "0.2", "--corrupt", "gaussian_noise,occlusion,resolution,fog,motion_blur",
      "--corrupt_fraction", "0.5"};
  ASSERT_EQ(train(planted).exit_code, 0);
  const std::string record = read_text(run_ + "/planted.csv");
  int wrong = 0, corrupted = 0;
  std::istringstream lines(record);
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "row,id,label,true_label,corruption,duplicate_of,difficulty");
  while (std::getline(lines, line)) {
    const std::size_t id = line.find(',') + 1, label = line.find(',', id) + 1,
                      truth = line.find(',', label) + 1, kind = line.find(',', truth) + 1;
    wrong += line[label] != line[truth] ? 1 : 0;
    corrupted += line[kind] != ',' ? 1 : 0;
  }
  EXPECT_EQ(wrong, 4);
  EXPECT_EQ(corrupted, 10);
  ASSERT_EQ(train(with(planted, {"--threads", "1"})).exit_code, 0);
  EXPECT_EQ(read_text(run_ + "/planted.csv"), record) << "independent of the threads";
  ASSERT_EQ(score().exit_code, 0);
  expect_refused(train_subset(), "the scores are of other data", "tdds-train-subset");
  EXPECT_EQ(train_subset(planted).exit_code, 0);

  EXPECT_EQ(train({"--label_noise", "1.2"}).exit_code, 2);
  EXPECT_EQ(train({"--corrupt", "fog,rain"}).exit_code, 2);
  EXPECT_EQ(train({"--corrupt", "fog", "--corrupt_fraction", "-1"}).exit_code, 2);

  const std::vector<std::string> data{"--dataset", "folder", "--data_path", data_, "--image_size", "8"};
  const Outcome report = run_tool(
      "tdds-report", with(with({"--dynamics_path", run_, "--output", folder_ / "r.html"}, data), planted));
  ASSERT_EQ(report.exit_code, 0) << report.err;
  const std::string page = read_text(folder_ / "r.html");
  EXPECT_NE(page.find("\"found_corrupted\":{\"planted\":10"), std::string::npos);
  EXPECT_NE(page.find("\"found\":{\"planted\":4"), std::string::npos);

  const Outcome sweep = run_tool(
      "tdds-sweep",
      with(with(with(data, planted), {"--width", "0.03125", "--batch-size", "10", "--epochs", "3",
                                      "--learning_rate", "0.01", "--subset_batch_size", "10"}),
           {"--methods", "tdds,random", "--rates", "0.5", "--seeds", "1", "--save_path", folder_ / "sweep"}));
  ASSERT_EQ(sweep.exit_code, 0) << sweep.err;
  const Json json = Json::parse(read_text(folder_ / "sweep/sweep.json"));
  ASSERT_EQ(json.at("corrupted").size(), 4u);
  EXPECT_EQ(json.at("corrupted")[0].at("count"), 10);
  EXPECT_EQ(json.at("wrong_labels")[0].at("count"), 4);
  for (const char* part : {"Corrupted images: 10 of 20", "Planted wrong labels: 4 of 20"})
    EXPECT_NE(sweep.out.find(part), std::string::npos) << sweep.out;
}

// The bytes of CIFAR-10's binary form: label, then three planes.
std::string cifar_record(int label, const std::vector<std::uint8_t>& pixels) {
  std::string bytes(1, static_cast<char>(label));
  for (std::size_t c = 0; c < 3; ++c)
    for (std::size_t i = 0; i < 1024; ++i) bytes += static_cast<char>(pixels[3 * i + c]);
  return bytes;
}

TEST_F(FolderProgramTest, GivesTheScoresOfTheSameImagesInACifarFile) {
  // Class folders whose names sort in another order than CIFAR's numbers; the file has the folder's order.
  std::vector<std::string> batches(6);
  const std::string cifar = folder_ / "cifar/cifar-10-batches-bin/";
  for (int label = 0, row = 0; label < 10; ++label)
    for (int i = 0; i < 5; ++i) {
      const auto pixels = test_pixels(17 * label + i, 32, 32);
      put(data_ + (i < 4 ? "/train/" : "/val/") + std::string(1, static_cast<char>('a' + label)) + "/" +
              std::to_string(i) + ".png",
          png_bytes(pixels, 32, 32));
      batches[i < 4 ? static_cast<std::size_t>(row++ / 8) : 5] += cifar_record(label, pixels);
    }
  for (int i = 0; i < 5; ++i)
    put(cifar + "data_batch_" + std::to_string(i + 1) + ".bin", batches[static_cast<std::size_t>(i)]);
  put(cifar + "test_batch.bin", batches[5]);
  const std::vector<std::string> alike{"--image_size",  "32",           "--channel_mean", "0.5,0.4,0.3",
                                       "--channel_std", "0.2,0.25,0.3", "--threads",      "1"};
  ASSERT_EQ(train(alike).exit_code, 0);
  ASSERT_EQ(score().exit_code, 0);
  const std::string scores = read_text(masks_ + "/score_win3_ep3.npy"),
                    mask = read_text(masks_ + "/data_mask_win3_ep3.npy");
  const Outcome of_cifar = train(with(alike, {"--dataset", "cifar10", "--data_path", folder_ / "cifar"}));
  ASSERT_EQ(of_cifar.exit_code, 0) << of_cifar.err;
  ASSERT_EQ(score().exit_code, 0);
  EXPECT_TRUE(read_text(masks_ + "/score_win3_ep3.npy") == scores);
  EXPECT_TRUE(read_text(masks_ + "/data_mask_win3_ep3.npy") == mask);
}

TEST_F(FolderProgramTest, AKilledCacheBuildContinuesToTheSameCache) {
  // Links to one image that takes a while to decode.
  put(folder_ / "big.png", png(3, 300));
  for (const std::string name : {"cat", "dog"})
    for (int i = 0; i < 400; ++i) {
      const fs::path path(data_ + (i < 390 ? "/train/" : "/val/") + name + "/" + std::to_string(i) + ".png");
      fs::create_directories(path.parent_path());
      fs::create_symlink(folder_ / "big.png", path);
    }
  const auto caches = [](const std::string& folder) {
    std::vector<std::pair<std::string, std::string>> found;
    for (const auto& entry : fs::directory_iterator(folder))
      found.emplace_back(entry.path().filename().string(), read_text(entry.path().string()));
    std::sort(found.begin(), found.end());
    return found;
  };
  const std::vector<std::string> brief{"--epochs", "1", "--batch-size", "20"};
  ASSERT_EQ(train(with(brief, {"--cache_dir", folder_ / "whole"})).exit_code, 0);

  const std::string cache = folder_ / "killed";
  const auto partial_bytes = [&] {
    std::error_code ignored;
    for (fs::directory_iterator it(cache, ignored), end; it != end; it.increment(ignored))
      if (it->path().extension() == ".partial") return fs::file_size(it->path(), ignored);
    return std::uintmax_t{0};
  };
  for (const std::uintmax_t at_least : {1, 40'000}) {
    const Outcome killed =
        run_tool("tdds-train", with(with(flags(), brief), {"--save_path", run_, "--cache_dir", cache}),
                 {.kill_when = [&] { return partial_bytes() >= at_least; }});
    ASSERT_EQ(killed.exit_code, 128 + SIGKILL) << killed.err;
  }
  const Outcome continued = train(with(brief, {"--cache_dir", cache}));
  ASSERT_EQ(continued.exit_code, 0) << continued.err;
  EXPECT_NE(continued.out.find("are done)"), std::string::npos) << continued.out;
  EXPECT_TRUE(caches(cache) == caches(folder_ / "whole"));
}

TEST_F(FolderProgramTest, ArraysAreTrainedOnAndShownInTheReport) {
  const auto text = [](const std::vector<std::uint8_t>& bytes) {
    return std::string(bytes.begin(), bytes.end());
  };
  std::string labels;
  for (int i = 0; i < 24; ++i) labels += static_cast<char>(i % 3);
  put(data_ + "/train_images.npy", npy("|u1", "24, 8, 8, 3", text(test_pixels(1, 8, 8 * 24))));
  put(data_ + "/train_labels.npy", npy("|u1", "24,", labels));
  put(data_ + "/test_images.npy", npy("|u1", "6, 8, 8, 3", text(test_pixels(2, 8, 8 * 6))));
  put(data_ + "/test_labels.npy", npy("|u1", "6,", labels.substr(0, 6)));
  const Outcome trained = train({"--dataset", "npy", "--batch-size", "8"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_NE(trained.out.find("24 training images, 6 test images, 3 classes"), std::string::npos)
      << trained.out;
  const Outcome report = run_tool("tdds-report", {"--dynamics_path", run_, "--dataset", "npy", "--data_path",
                                                  data_, "--output", folder_ / "report.html"});
  EXPECT_EQ(report.exit_code, 0) << report.err;
  EXPECT_EQ(report.out.find("no images"), std::string::npos) << report.out;
}

TEST_F(FolderProgramTest, TheReportAndTheSweepReadFolders) {
  write_images();
  ASSERT_EQ(train().exit_code, 0);
  const Outcome report =
      run_tool("tdds-report", {"--dynamics_path", run_, "--dataset", "folder", "--data_path", data_,
                               "--image_size", "8", "--output", folder_ / "report.html"});
  ASSERT_EQ(report.exit_code, 0) << report.err;
  EXPECT_NE(read_text(folder_ / "report.html").find("dog/3.png"), std::string::npos);
  const Outcome sweep = run_tool(
      "tdds-sweep",
      with({"--dataset", "folder", "--data_path", data_, "--image_size", "8", "--width", "0.03125",
            "--batch-size", "10", "--subset_batch_size", "10", "--epochs", "3", "--learning_rate", "0.01"},
           {"--methods", "tdds,random", "--rates", "0.5", "--seeds", "1", "--save_path", folder_ / "sweep"}));
  EXPECT_EQ(sweep.exit_code, 0) << sweep.err;
  EXPECT_EQ(read_manifest(folder_ / "sweep/seed1/tdds_0.5/manifest.tsv").files.size(), 20u);
}

}  // namespace
}  // namespace tdds::test
