// file-exerciser.c — seeded random operations on one file, every result compared with the same done to an array in memory.
// After the idea of fsx (Apple, LTP), not its code: writes, reads and truncations through two descriptors and a shared mapping, holes,
// zeroing, preallocation, copies within the file, O_APPEND, O_DIRECT, fsync, closing and opening again, SEEK_DATA and SEEK_HOLE.
// usage: file-exerciser FILE SEED OPERATIONS MAX_BYTES; prints the last operations when something differs.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REMEMBERED = 40, PAGE = 4096, DIRECT = 4096 };

static uint64_t state;
static unsigned char *model, *buffer;
static int64_t size, max_bytes;
static int first, second;
static const char *path;
static char history[REMEMBERED][120];
static long operation;

static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "operation %ld: ", operation);
  vfprintf(stderr, format, arguments);
  fprintf(stderr, " (errno %s)\nthe last operations:\n", strerrorname_np(errno));
  va_end(arguments);
  for (long n = operation < REMEMBERED ? 0 : operation - REMEMBERED + 1; n <= operation; n++)
    fprintf(stderr, "  %ld %s\n", n, history[n % REMEMBERED]);
  exit(1);
}

static void note(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(history[operation % REMEMBERED], sizeof history[0], format, arguments);
  va_end(arguments);
}

// splitmix64
static uint64_t next(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

static int64_t below(int64_t limit) { return limit <= 0 ? 0 : (int64_t)(next() % (uint64_t)limit); }

// Mostly short, now and then up to the whole.
static int64_t some_length(int64_t limit) {
  int64_t most = below(10) ? max_bytes / 32 + 1 : limit;
  if (most > limit) most = limit;
  return most <= 0 ? 0 : 1 + below(most);
}

static void fill(int64_t length) {
  uint64_t word = next();
  for (int64_t at = 0; at < length; at += 8, word = word * 6364136223846793005u + 1442695040888963407u)
    memcpy(buffer + at, &word, length - at < 8 ? (size_t)(length - at) : 8);
}

static void compare(const unsigned char *found, int64_t offset, int64_t length, const char *how) {
  if (memcmp(found, model + offset, (size_t)length) == 0) return;
  int64_t at = 0;
  while (found[at] == model[offset + at]) at++;
  fail("%s at %ld for %ld: byte %ld is %02x, should be %02x; size %ld", how, offset, length, offset + at, found[at],
       model[offset + at], size);
}

static void check_size(void) {
  struct stat status;
  if (fstat(below(2) ? first : second, &status) != 0) fail("fstat");
  if (status.st_size != size) fail("st_size is %ld, should be %ld", (long)status.st_size, size);
}

static void grow_to(int64_t new_size) {
  if (new_size > size) size = new_size;
}

static void do_read(void) {
  int64_t offset = below(size + PAGE), length = some_length(max_bytes);
  note("read %ld + %ld", offset, length);
  int64_t expected = offset >= size ? 0 : offset + length > size ? size - offset : length;
  ssize_t found = pread(below(2) ? first : second, buffer, (size_t)length, offset);
  if (found != expected) fail("pread returned %zd, should be %ld", found, expected);
  compare(buffer, offset, expected, "pread");
}

static void do_write(void) {
  int64_t offset = below(4) ? below(size + 1) : below(max_bytes), length = some_length(max_bytes - offset);
  note("write %ld + %ld", offset, length);
  fill(length);
  if (pwrite(below(2) ? first : second, buffer, (size_t)length, offset) != length) fail("pwrite");
  memcpy(model + offset, buffer, (size_t)length);
  grow_to(offset + length);
}

static void do_append(void) {
  int64_t length = some_length(max_bytes - size);
  note("append %ld", length);
  if (length == 0) return;
  int descriptor = open(path, O_WRONLY | O_APPEND);
  if (descriptor < 0) fail("open for appending");
  fill(length);
  if (write(descriptor, buffer, (size_t)length) != length) fail("append");
  memcpy(model + size, buffer, (size_t)length);
  size += length;
  if (close(descriptor) != 0) fail("close");
}

static void do_direct(void) {
  int64_t offset = below(max_bytes / DIRECT) * DIRECT, blocks = (max_bytes - offset) / DIRECT;
  int64_t length = (1 + below(blocks < 16 ? blocks : 16)) * DIRECT;
  int writes = (int)below(2);
  note("direct %s %ld + %ld", writes ? "write" : "read", offset, length);
  int descriptor = open(path, O_RDWR | O_DIRECT);
  if (descriptor < 0) {
    if (errno == EINVAL) return; // tmpfs before Linux 6.6
    fail("open O_DIRECT");
  }
  if (writes) {
    fill(length);
    if (pwrite(descriptor, buffer, (size_t)length, offset) != length) fail("pwrite O_DIRECT");
    memcpy(model + offset, buffer, (size_t)length);
    grow_to(offset + length);
  } else {
    int64_t expected = offset >= size ? 0 : offset + length > size ? size - offset : length;
    ssize_t found = pread(descriptor, buffer, (size_t)length, offset);
    if (found != expected) fail("pread O_DIRECT returned %zd, should be %ld", found, expected);
    compare(buffer, offset, expected, "pread O_DIRECT");
  }
  if (close(descriptor) != 0) fail("close");
}

static void do_truncate(void) {
  int64_t to = below(8) ? below(max_bytes + 1) : 0;
  note("truncate %ld to %ld", size, to);
  if (below(2) ? ftruncate(first, to) : truncate(path, to)) fail("truncate");
  if (to < size) memset(model + to, 0, (size_t)(size - to));
  size = to;
}

static void do_map(void) {
  if (size == 0) return;
  int64_t offset = below(size), length = some_length(size - offset), start = offset / PAGE * PAGE;
  int writes = (int)below(2);
  note("map %s %ld + %ld", writes ? "write" : "read", offset, length);
  size_t span = (size_t)(offset - start + length);
  unsigned char *map = mmap(NULL, span, PROT_READ | (writes ? PROT_WRITE : 0), MAP_SHARED, first, start);
  if (map == MAP_FAILED) fail("mmap");
  if (writes) {
    fill(length);
    memcpy(map + (offset - start), buffer, (size_t)length);
    memcpy(model + offset, buffer, (size_t)length);
    // Beyond the end in its last page may be written, and must never be seen.
    size_t rest = (size_t)(start + (int64_t)span) % PAGE;
    if (start + (int64_t)span == size && rest != 0) memset(map + span, 0xee, PAGE - rest);
    if (below(3) == 0 && msync(map, span, MS_SYNC) != 0) fail("msync");
  } else {
    compare(map + (offset - start), offset, length, "mapping");
  }
  if (munmap(map, span) != 0) fail("munmap");
}

static void do_fallocate(void) {
  static const struct {
    int mode;
    const char *name;
  } kinds[] = {{0, "allocate"},
               {FALLOC_FL_KEEP_SIZE, "allocate keeping size"},
               {FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, "punch"},
               {FALLOC_FL_ZERO_RANGE, "zero"},
               {FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, "zero keeping size"},
               {FALLOC_FL_COLLAPSE_RANGE, "collapse"},
               {FALLOC_FL_INSERT_RANGE, "insert"}};
  int kind = (int)below(7), mode = kinds[kind].mode;
  int64_t offset = below(max_bytes), length = some_length(max_bytes - offset);
  if (kind >= 5) offset = offset / PAGE * PAGE, length = (length + PAGE - 1) / PAGE * PAGE;
  note("%s %ld + %ld", kinds[kind].name, offset, length);
  if (kind == 5 && offset + length >= size) return;
  if (kind == 6 && (offset >= size || size + length > max_bytes)) return;
  if (fallocate(first, mode, offset, length) != 0) {
    if (errno == EOPNOTSUPP) return;
    fail("fallocate");
  }
  int64_t end = offset + length, last = end < size ? end : size;
  if ((kind == 2 || kind == 3 || kind == 4) && offset < last) memset(model + offset, 0, (size_t)(last - offset));
  if (kind == 0 || kind == 3) grow_to(end);
  if (kind == 5) {
    memmove(model + offset, model + end, (size_t)(size - end));
    memset(model + size - length, 0, (size_t)length);
    size -= length;
  }
  if (kind == 6) {
    memmove(model + end, model + offset, (size_t)(size - offset));
    memset(model + offset, 0, (size_t)length);
    size += length;
  }
}

static void do_copy(void) {
  if (size == 0) return;
  int64_t from = below(size), length = some_length(size - from), to = below(max_bytes);
  if (to + length > max_bytes) length = max_bytes - to;
  if (llabs(from - to) < length) length = llabs(from - to); // overlapping ranges of one file are EINVAL
  note("copy %ld + %ld to %ld", from, length, to);
  while (length > 0) {
    off_t source = from, target = to;
    ssize_t copied = copy_file_range(first, &source, second, &target, (size_t)length, 0);
    if (copied <= 0 || copied > length) fail("copy_file_range returned %zd of %ld", copied, length);
    memcpy(model + to, model + from, (size_t)copied);
    grow_to(to + copied);
    from += copied, to += copied, length -= copied;
  }
}

// What SEEK_HOLE calls a hole must read as zeros; beyond the end there is ENXIO.
static void do_seek(void) {
  note("seek for data and holes");
  int64_t data = 0;
  while (data < size) {
    int64_t found = lseek(first, data, SEEK_DATA);
    if (found < 0 && errno != ENXIO) fail("SEEK_DATA");
    int64_t until = found < 0 ? size : found;
    if (until < data || until > size) fail("SEEK_DATA from %ld found %ld; size %ld", data, found, size);
    for (int64_t at = data; at < until; at++)
      if (model[at] != 0) fail("SEEK_DATA from %ld says %ld, but there is data at %ld", data, found, at);
    if (found < 0) break;
    data = lseek(first, found, SEEK_HOLE);
    if (data <= found || data > size) fail("SEEK_HOLE from %ld found %ld; size %ld", found, data, size);
  }
  if (lseek(first, size, SEEK_DATA) != -1 || errno != ENXIO) fail("SEEK_DATA at the end must be ENXIO");
}

static void open_again(void) {
  note("close, open");
  if (first > 0 && close(first) != 0) fail("close");
  if (second > 0 && close(second) != 0) fail("close");
  first = open(path, O_RDWR | O_CREAT, 0644);
  second = open(path, O_RDWR);
  if (first < 0 || second < 0) fail("open");
}

static void check_all(void) {
  check_size();
  for (int64_t at = 0; at < size;) {
    ssize_t found = pread(first, buffer, (size_t)(size - at), at);
    if (found <= 0) fail("pread at %ld of %ld returned %zd", at, size, found);
    compare(buffer, at, found, "the whole file");
    at += found;
  }
}

int main(int count, char **arguments) {
  if (count != 5) {
    fprintf(stderr, "usage: file-exerciser FILE SEED OPERATIONS MAX_BYTES\n");
    return 2;
  }
  path = arguments[1];
  state = strtoull(arguments[2], NULL, 10);
  long operations = atol(arguments[3]);
  max_bytes = atol(arguments[4]) / DIRECT * DIRECT;
  model = calloc(1, (size_t)max_bytes + 2 * PAGE);
  buffer = aligned_alloc(PAGE, (size_t)max_bytes + 2 * PAGE);
  if (model == NULL || buffer == NULL) return 2;
  open_again();
  for (operation = 0; operation < operations; operation++) {
    switch (below(22)) {
    case 0: case 1: case 2: case 3: do_read(); break;
    case 4: case 5: case 6: case 7: do_write(); break;
    case 8: do_append(); break;
    case 9: case 10: do_truncate(); break;
    case 11: case 12: case 13: case 14: do_map(); break;
    case 15: case 16: do_fallocate(); break;
    case 17: do_copy(); break;
    case 18: do_direct(); break;
    case 19: do_seek(); break;
    case 20: note("fsync"); if (below(2) ? fsync(first) : fdatasync(second)) fail("fsync"); break;
    case 21: open_again(); break;
    }
    check_size();
    if (operation % 64 == 0) check_all();
  }
  check_all();
  open_again();
  check_all();
  return 0;
}
