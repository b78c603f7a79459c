#include "engine/io/download.h"

#include <curl/curl.h>

#include <array>
#include <exception>
#include <memory>

#include "engine/io/atomic_file.h"
#include "engine/io/hash.h"
#include "kernels/runtime/check.h"

namespace tdds {

namespace {

struct Transfer {
  AtomicFile file;
  Hash hash{HashKind::kMd5};
  std::int64_t received = 0;
  std::int64_t max_bytes;
  std::string url;
  const DownloadProgress& progress;
  std::exception_ptr failure;  // of a callback: no exception may pass through libcurl, which is C
};

template <class Body>
bool guarded(Transfer& transfer, const Body& body) {
  try {
    body();
    return true;
  } catch (...) {
    transfer.failure = std::current_exception();
    return false;
  }
}

std::size_t on_bytes(char* bytes, std::size_t, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const bool ok = guarded(transfer, [&] {
    transfer.received += static_cast<std::int64_t>(count);
    check(transfer.received <= transfer.max_bytes,
          "{} sends more than {} bytes: it is not the expected file.", transfer.url, transfer.max_bytes);
    transfer.file.write(bytes, count);
    transfer.hash.add(bytes, count);
  });
  return ok ? count : 0;
}

int on_progress(void* user, curl_off_t total, curl_off_t received, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(user);
  const bool ok = guarded(transfer, [&] {
    if (transfer.progress) transfer.progress(received, total);
  });
  return ok ? 0 : 1;
}

struct FreeCurl {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
using Curl = std::unique_ptr<CURL, FreeCurl>;

Curl prepare(const std::string& url, Transfer& transfer, char* message) {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  Curl curl(curl_easy_init());
  check(initialised == CURLE_OK && curl, "libcurl cannot be initialised: check its installation.");
  bool ok = true;
  const auto set = [&](CURLoption option, auto value) {
    ok = ok && curl_easy_setopt(curl.get(), option, value) == CURLE_OK;
  };
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "https,http,file");
  set(CURLOPT_REDIR_PROTOCOLS_STR, "https,http");
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_MAXREDIRS, 5L);
  set(CURLOPT_FAILONERROR, 1L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_CONNECTTIMEOUT, 30L);
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, 30L);
  set(CURLOPT_ERRORBUFFER, message);
  set(CURLOPT_WRITEFUNCTION, &on_bytes);
  set(CURLOPT_WRITEDATA, &transfer);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &on_progress);
  set(CURLOPT_XFERINFODATA, &transfer);
  check(ok, "libcurl refuses to fetch {}: use an http, https or file URL.", url);
  return curl;
}

}  // namespace

void download_file(const std::string& url, const std::string& path, const std::string& md5,
                   std::int64_t max_bytes, const DownloadProgress& progress) {
  Transfer transfer{
      .file = AtomicFile(path), .max_bytes = max_bytes, .url = url, .progress = progress, .failure = {}};
  std::array<char, CURL_ERROR_SIZE> message{};
  const Curl curl = prepare(url, transfer, message.data());
  const CURLcode result = curl_easy_perform(curl.get());
  if (transfer.failure) std::rethrow_exception(transfer.failure);
  check(result == CURLE_OK,
        "{} cannot be fetched ({}): check the network, or fetch the file by other means and put it at {}.",
        url, message[0] ? message.data() : curl_easy_strerror(result), path);
  const std::string found = transfer.hash.hex();
  check(found == md5,
        "{} has MD5 {}, but {} is expected: try again later, or fetch the file from another mirror.", url,
        found, md5);
  transfer.file.commit();
}

}  // namespace tdds
