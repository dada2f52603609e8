#include "tests/fault_disk.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

namespace docmill {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSector = 512;

struct OpenFile {
  sqlite3_file base;
  FaultDisk* disk;
  FaultDisk::File* state;  // null: a temporary file, or -shm's owner without a name
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

OpenFile& of(sqlite3_file* file) {
  return *reinterpret_cast<OpenFile*>(file);
}

int on_close(sqlite3_file* file) {
  sqlite3_file* real = of(file).real();
  return real->pMethods != nullptr ? real->pMethods->xClose(real) : SQLITE_OK;
}

int on_read(sqlite3_file* file, void* to, int bytes, sqlite3_int64 offset) {
  if (const int error = of(file).disk->attempt("read", SQLITE_IOERR_READ)) return error;
  return of(file).real()->pMethods->xRead(of(file).real(), to, bytes, offset);
}

int on_write(sqlite3_file* file, const void* from, int bytes, sqlite3_int64 offset) {
  OpenFile& open = of(file);
  if (open.state != nullptr) open.disk->remember(open.real(), *open.state, offset, bytes);
  if (const int error = open.disk->attempt_change("write", SQLITE_IOERR_WRITE)) {
    if (!open.disk->is_cut()) open.real()->pMethods->xWrite(open.real(), from, bytes / 2, offset);
    return error;
  }
  return open.real()->pMethods->xWrite(open.real(), from, bytes, offset);
}

int on_truncate(sqlite3_file* file, sqlite3_int64 size) {
  OpenFile& open = of(file);
  if (open.state != nullptr) {
    sqlite3_int64 now = 0;
    open.real()->pMethods->xFileSize(open.real(), &now);
    if (now > size) open.disk->remember(open.real(), *open.state, size, now - size);
  }
  if (const int error = open.disk->attempt_change("truncate", SQLITE_IOERR_TRUNCATE)) return error;
  return open.real()->pMethods->xTruncate(open.real(), size);
}

// The machine's own sync would only take time: this disk decides what is safe.
int on_sync(sqlite3_file* file, int) {
  OpenFile& open = of(file);
  if (const int error = open.disk->attempt_change("sync", SQLITE_IOERR_FSYNC)) return error;
  if (open.state != nullptr) open.disk->synced(open.real(), *open.state);
  return SQLITE_OK;
}

int on_file_size(sqlite3_file* file, sqlite3_int64* size) {
  if (const int error = of(file).disk->attempt("size", SQLITE_IOERR_FSTAT)) return error;
  return of(file).real()->pMethods->xFileSize(of(file).real(), size);
}

int on_lock(sqlite3_file* file, int level) {
  if (const int error = of(file).disk->attempt("lock", SQLITE_IOERR_LOCK)) return error;
  return of(file).real()->pMethods->xLock(of(file).real(), level);
}

int on_unlock(sqlite3_file* file, int level) {
  return of(file).real()->pMethods->xUnlock(of(file).real(), level);
}

int on_check_lock(sqlite3_file* file, int* is_reserved) {
  return of(file).real()->pMethods->xCheckReservedLock(of(file).real(), is_reserved);
}

int on_control(sqlite3_file* file, int code, void* argument) {
  return of(file).real()->pMethods->xFileControl(of(file).real(), code, argument);
}

int on_sector_size(sqlite3_file*) {
  return kSector;
}

int on_characteristics(sqlite3_file*) {
  return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

int on_shm_map(sqlite3_file* file, int page, int size, int extend, void volatile** to) {
  if (const int error = of(file).disk->attempt("shm map", SQLITE_IOERR_SHMMAP)) return error;
  return of(file).real()->pMethods->xShmMap(of(file).real(), page, size, extend, to);
}

int on_shm_lock(sqlite3_file* file, int offset, int n, int flags) {
  if ((flags & SQLITE_SHM_UNLOCK) == 0) {
    if (const int error = of(file).disk->attempt("shm lock", SQLITE_IOERR_SHMLOCK)) return error;
  }
  return of(file).real()->pMethods->xShmLock(of(file).real(), offset, n, flags);
}

void on_shm_barrier(sqlite3_file* file) {
  of(file).real()->pMethods->xShmBarrier(of(file).real());
}

int on_shm_unmap(sqlite3_file* file, int delete_flag) {
  return of(file).real()->pMethods->xShmUnmap(of(file).real(), delete_flag);
}

const sqlite3_io_methods kMethods = {2,
                                     on_close,
                                     on_read,
                                     on_write,
                                     on_truncate,
                                     on_sync,
                                     on_file_size,
                                     on_lock,
                                     on_unlock,
                                     on_check_lock,
                                     on_control,
                                     on_sector_size,
                                     on_characteristics,
                                     on_shm_map,
                                     on_shm_lock,
                                     on_shm_barrier,
                                     on_shm_unmap,
                                     nullptr,
                                     nullptr};

FaultDisk& disk_of(sqlite3_vfs* vfs) {
  return *static_cast<FaultDisk*>(vfs->pAppData);
}

int on_open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  OpenFile& open = of(file);
  open.base.pMethods = nullptr;
  open.disk = &disk_of(vfs);
  open.state = nullptr;
  if (const int error = open.disk->attempt("open", SQLITE_CANTOPEN)) return error;
  const bool was_there = name != nullptr && fs::exists(name);
  sqlite3_vfs* real = open.disk->real();
  const int result = real->xOpen(real, name, open.real(), flags, out_flags);
  if (result != SQLITE_OK) return result;
  if (name != nullptr) open.state = &open.disk->file(name, was_there);
  open.base.pMethods = &kMethods;
  return SQLITE_OK;
}

int on_delete(sqlite3_vfs* vfs, const char* name, int sync_folder) {
  FaultDisk& disk = disk_of(vfs);
  if (const int error = disk.attempt_change("delete", SQLITE_IOERR_DELETE)) return error;
  disk.forget(name);
  return disk.real()->xDelete(disk.real(), name, sync_folder);
}

int on_access(sqlite3_vfs* vfs, const char* name, int flags, int* result) {
  FaultDisk& disk = disk_of(vfs);
  if (const int error = disk.attempt("access", SQLITE_IOERR_ACCESS)) return error;
  return disk.real()->xAccess(disk.real(), name, flags, result);
}

std::string read_all(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string garbage(std::mt19937_64& random, std::size_t bytes) {
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

}  // namespace

FaultDisk::FaultDisk() : real_(sqlite3_vfs_find(nullptr)), vfs_(*real_) {
  vfs_.zName = "fault_disk";
  vfs_.szOsFile = static_cast<int>(sizeof(OpenFile)) + real_->szOsFile;
  vfs_.pAppData = this;
  vfs_.xOpen = on_open;
  vfs_.xDelete = on_delete;
  vfs_.xAccess = on_access;
  sqlite3_vfs_register(&vfs_, 1);
}

FaultDisk::~FaultDisk() {
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_vfs_register(real_, 1);
}

void FaultDisk::cut_power_at(int nth, std::uint64_t seed, fs::path after) {
  changes_left_ = nth;
  random_.seed(seed);
  after_ = std::move(after);
}

void FaultDisk::fail_at(int nth, Fault fault) {
  operations_left_ = nth;
  fault_ = fault;
  has_failed_ = false;
}

void FaultDisk::heal() {
  files_.clear();
  changes_left_ = operations_left_ = 0;
  is_cut_ = has_failed_ = has_filled_ = false;
  failed_operation_.clear();
}

int FaultDisk::attempt(const char* operation, int error) {
  if (is_cut_) return error;
  const bool is_turn = operations_left_ > 0 && --operations_left_ == 0;
  if (fault_ == Fault::full) {
    has_filled_ |= is_turn;
    if (!has_filled_ || error != SQLITE_IOERR_WRITE) return 0;
    error = SQLITE_FULL;
  } else if (!is_turn && !(has_failed_ && fault_ == Fault::for_good)) {
    return 0;
  }
  if (!has_failed_) failed_operation_ = operation;
  has_failed_ = true;
  return error;
}

int FaultDisk::attempt_change(const char* operation, int error) {
  if (!is_cut_ && changes_left_ > 0 && --changes_left_ == 0) lose_power();
  return attempt(operation, error);
}

FaultDisk::File& FaultDisk::file(const std::string& path, bool was_there) {
  const auto [it, is_new] = files_.try_emplace(path);
  if (is_new) {
    it->second.is_entry_synced = was_there;
    it->second.synced_size =
        was_there ? static_cast<std::int64_t>(fs::file_size(path)) : std::int64_t{0};
  }
  return it->second;
}

void FaultDisk::remember(sqlite3_file* real, File& file, std::int64_t offset, std::int64_t length) {
  for (std::int64_t sector = offset / kSector; sector * kSector < offset + length; ++sector) {
    const std::int64_t begin = std::max(offset - sector * kSector, std::int64_t{0});
    const std::int64_t end = std::min(offset + length - sector * kSector, kSector);
    const auto [it, is_new] = file.unsynced.try_emplace(sector, FaultDisk::Sector{"", begin, end});
    Sector& touched = it->second;
    touched.begin = std::min(touched.begin, begin);
    touched.end = std::max(touched.end, end);
    if (!is_new) continue;
    // What lies beyond the end reads as zeros.
    touched.before.resize(kSector);
    real->pMethods->xRead(real, touched.before.data(), kSector, sector * kSector);
  }
}

void FaultDisk::synced(sqlite3_file* real, File& file) {
  sqlite3_int64 size = 0;
  real->pMethods->xFileSize(real, &size);
  file.synced_size = size;
  file.unsynced.clear();
  file.is_entry_synced = true;  // SQLite syncs the folder with the first sync of a new file
}

void FaultDisk::lose_power() {
  is_cut_ = true;
  for (auto& [path, file] : files_) write_survivor(path, file);
}

void FaultDisk::write_survivor(const std::string& path, File& file) {
  if (!fs::exists(path)) return;
  if (!file.is_entry_synced && random_() % 2 == 0) return;
  std::string bytes = read_all(path);
  const auto now = static_cast<std::int64_t>(bytes.size());
  const std::int64_t longest = std::max(now, file.synced_size);
  bytes.resize(static_cast<std::size_t>((longest + kSector - 1) / kSector * kSector));
  for (const auto& [sector, touched] : file.unsynced) {
    if ((sector + 1) * kSector > static_cast<std::int64_t>(bytes.size())) continue;
    const std::uint64_t luck = random_() % 3;
    if (luck == 0) continue;  // kept
    const auto length = static_cast<std::size_t>(touched.end - touched.begin);
    const auto begin = static_cast<std::size_t>(touched.begin);
    const std::string luckless =
        luck == 1 ? touched.before.substr(begin, length) : garbage(random_, length);
    bytes.replace(static_cast<std::size_t>(sector * kSector) + begin, length, luckless);
  }
  const std::int64_t least = std::min(now, file.synced_size);
  std::int64_t length = longest;
  if (longest > least) {
    length = least +
             static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(longest - least + 1));
  }
  bytes.resize(static_cast<std::size_t>(length));
  const fs::path to = after_ / fs::path(path).filename();
  std::ofstream(to, std::ios::binary) << bytes;
  const fs::path shm = path + "-shm";
  if (fs::exists(shm)) {
    std::ofstream(to.string() + "-shm", std::ios::binary) << garbage(random_, fs::file_size(shm));
  }
}

}  // namespace docmill
