// fsbench.c — times file operations on a directory, from one process or several, with nothing between the clock and the system call.
// Prints one line per operation: NAME<TAB>VALUE<TAB>UNIT, unit "us" (microseconds per operation) or "MB/s". Page and dentry caches are
// left warm on purpose: what a caller sees right after its own work. Compiled and driven by scripts/bench.ts.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SMALL_BYTES = 4096, LARGE_STEP_BYTES = 1 << 20 };

static int marker = -1; // ftrace's trace_marker, where the driver counts FUSE requests between marks
static char block[LARGE_STEP_BYTES];

static void die(const char *what) {
  fprintf(stderr, "fsbench: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void mark(const char *name) {
  if (marker < 0) return;
  char text[64];
  int length = snprintf(text, sizeof text, "fsbench:%s", name);
  if (write(marker, text, (size_t)length) < 0) die("trace_marker");
}

static void report(const char *name, double value, const char *unit) {
  printf("%s\t%.3f\t%s\n", name, value, unit);
  fflush(stdout);
}

// Each name function fills the caller's buffer and returns it; no allocation between clock readings.
static char *name_of(char *into, const char *prefix, int i) {
  snprintf(into, 64, "%s%07d", prefix, i);
  return into;
}

static void create_empty(const char *name) {
  int f = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
  if (f < 0) die("create");
  if (close(f)) die("close");
}

// Runs body for i in 0..n-1 and reports the mean.
#define EACH(label, n, body)                                                                                           \
  do {                                                                                                                 \
    mark(label);                                                                                                       \
    double started = now_us();                                                                                         \
    for (int i = 0; i < (n); i++) body;                                                                                \
    double took = now_us() - started;                                                                                  \
    mark("end");                                                                                                       \
    report(label, took / (n), "us");                                                                                   \
  } while (0)

static void enter_fresh(const char *directory) {
  if (mkdir(directory, 0755)) die(directory);
  if (chdir(directory)) die(directory);
}

static void metadata(int n) {
  char a[64], b[64];
  struct stat st;
  EACH("create", n, { create_empty(name_of(a, "f", i)); });
  EACH("stat", n, {
    if (stat(name_of(a, "f", i), &st)) die("stat");
  });
  EACH("stat missing", n, {
    if (stat(name_of(a, "missing", i), &st) != -1 || errno != ENOENT) die("stat missing");
  });
  EACH("chmod", n, {
    if (chmod(name_of(a, "f", i), 0600)) die("chmod");
  });
  EACH("rename", n, {
    if (rename(name_of(a, "f", i), name_of(b, "g", i))) die("rename");
  });
  EACH("link", n, {
    if (link(name_of(a, "g", i), name_of(b, "h", i))) die("link");
  });
  for (int i = 0; i < n; i++)
    if (unlink(name_of(a, "h", i))) die("unlink");
  mark("readdir+stat");
  double started = now_us();
  int seen = 0;
  DIR *d = opendir(".");
  if (!d) die("opendir");
  for (struct dirent *e; (e = readdir(d)); seen++)
    if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW)) die("fstatat");
  closedir(d);
  double took = now_us() - started;
  mark("end");
  if (seen != n + 2) {
    fprintf(stderr, "fsbench: readdir showed %d entries of %d\n", seen, n + 2);
    exit(1);
  }
  report("readdir+stat", took / seen, "us");
  EACH("unlink", n, {
    if (unlink(name_of(a, "g", i))) die("unlink");
  });
}

// In a directory of their own: see targets.ts on what removals before them would do.
static void directories(int n) {
  char a[64];
  EACH("mkdir", n, {
    if (mkdir(name_of(a, "d", i), 0755)) die("mkdir");
  });
  EACH("rmdir", n, {
    if (rmdir(name_of(a, "d", i))) die("rmdir");
  });
}

static void small(int n) {
  char a[64];
  EACH("4k create+write", n, {
    int f = open(name_of(a, "w", i), O_CREAT | O_EXCL | O_WRONLY, 0644);
    if (f < 0 || write(f, block, SMALL_BYTES) != SMALL_BYTES || close(f)) die("4k write");
  });
  EACH("4k open+read", n, {
    char into[SMALL_BYTES];
    int f = open(name_of(a, "w", i), O_RDONLY);
    if (f < 0 || read(f, into, SMALL_BYTES) != SMALL_BYTES || close(f)) die("4k read");
  });
  for (int i = 0; i < n; i++)
    if (unlink(name_of(a, "w", i))) die("unlink");
  int f = open("synced", O_CREAT | O_EXCL | O_WRONLY, 0644);
  if (f < 0) die("open");
  int synced = n / 20 > 0 ? n / 20 : 1;
  EACH("4k write+fsync", synced, {
    if (pwrite(f, block, SMALL_BYTES, (off_t)i * SMALL_BYTES) != SMALL_BYTES || fsync(f)) die("fsync");
  });
  close(f);
  if (unlink("synced")) die("unlink");
}

static void sequential(const char *label, int f, int64_t size, int writing) {
  mark(label);
  double started = now_us();
  if (lseek(f, 0, SEEK_SET)) die("lseek");
  for (int64_t done = 0; done < size; done += LARGE_STEP_BYTES) {
    ssize_t moved = writing ? write(f, block, LARGE_STEP_BYTES) : read(f, block, LARGE_STEP_BYTES);
    if (moved != LARGE_STEP_BYTES) die(label);
  }
  double took = now_us() - started;
  mark("end");
  report(label, (double)size / took, "MB/s");
}

static void fill_block(unsigned seed) {
  // Not compressible, and different every time, so that no filesystem gets away with storing nothing.
  uint64_t x = seed * 0x9e3779b97f4a7c15ull + 1;
  for (size_t i = 0; i + 8 <= sizeof block; i += 8) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    memcpy(block + i, &x, 8);
  }
}

static void large(int n, int64_t size) {
  size -= size % LARGE_STEP_BYTES;
  fill_block((unsigned)getpid());
  int f = open("large", O_CREAT | O_EXCL | O_RDWR, 0644);
  if (f < 0) die("open");
  sequential("seq write", f, size, 1);
  fill_block((unsigned)getpid() + 1);
  sequential("seq rewrite", f, size, 1);
  sequential("seq read", f, size, 0);
  unsigned state = 12345;
  off_t pages = size / SMALL_BYTES;
#define RANDOM_OFFSET ((off_t)(rand_r(&state) % pages) * SMALL_BYTES)
  EACH("random 4k read", n, {
    if (pread(f, block, SMALL_BYTES, RANDOM_OFFSET) != SMALL_BYTES) die("random read");
  });
  EACH("random 4k write", n, {
    if (pwrite(f, block, SMALL_BYTES, RANDOM_OFFSET) != SMALL_BYTES) die("random write");
  });
  // Untimed: or the dirty pages are written back during someone else's turn.
  if (fsync(f) || close(f)) die("close");
  if (unlink("large")) die("unlink");
}

static void mix(int n) {
  char a[64], b[64];
  struct stat st;
  for (int i = 0; i < n; i++) {
    create_empty(name_of(a, "f", i));
    if (stat(a, &st)) die("stat");
    if (chmod(a, 0600)) die("chmod");
    if (rename(a, name_of(b, "g", i))) die("rename");
    if (unlink(b)) die("unlink");
  }
}

static void processes(int n, int count) {
  char a[64];
  for (int p = 0; p < count; p++)
    if (mkdir(name_of(a, "p", p), 0755)) die("mkdir");
  double started = now_us();
  for (int p = 0; p < count; p++) {
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) {
      if (chdir(name_of(a, "p", p))) die("chdir");
      mix(n);
      _exit(0);
    }
  }
  for (int p = 0; p < count; p++) {
    int status;
    if (wait(&status) < 0) die("wait");
    if (status != 0) exit(1);
  }
  double took = now_us() - started;
  snprintf(a, sizeof a, "%d processes", count);
  report(a, took / ((double)n * 5 * count), "us");
  for (int p = 0; p < count; p++)
    if (rmdir(name_of(a, "p", p))) die("rmdir");
}

// What one file costs in a directory of n: created, found, listed, removed.
static void directory(int n) {
  char a[64], label[64];
  struct stat st;
#define LABEL(what) (snprintf(label, sizeof label, "%d files: " what, n), label)
  EACH(LABEL("create"), n, { create_empty(name_of(a, "f", i)); });
  EACH(LABEL("stat"), n, {
    if (stat(name_of(a, "f", (int)((int64_t)i * 7919 % n)), &st)) die("stat");
  });
  double started = now_us();
  int seen = 0;
  DIR *d = opendir(".");
  if (!d) die("opendir");
  while (readdir(d)) seen++;
  closedir(d);
  report(LABEL("readdir"), (now_us() - started) / n, "us");
  if (seen != n + 2) {
    fprintf(stderr, "fsbench: readdir showed %d entries of %d\n", seen, n + 2);
    exit(1);
  }
  EACH(LABEL("unlink"), n, {
    if (unlink(name_of(a, "f", i))) die("unlink");
  });
}

static void sleep_us(long us) {
  struct timespec t = {us / 1000000, us % 1000000 * 1000};
  nanosleep(&t, NULL);
}

// From the return of close(2) here until a reader there sees the new content. One line per write.
static void visible(const char *here, const char *there, int n) {
  enum { POLL_US = 100, IDLE_US = 30000, PATIENCE_US = 20000000 };
  char text[64], seen[64];
  for (int i = 0; i < n; i++) {
    int length = snprintf(text, sizeof text, "version %d of %d\n", i, getpid());
    int f = open(here, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    if (f < 0 || write(f, text, (size_t)length) != length || close(f)) die(here);
    double closed = now_us();
    for (;;) {
      int r = open(there, O_RDONLY);
      if (r < 0 && errno != ENOENT) die(there);
      ssize_t got = r < 0 ? 0 : read(r, seen, sizeof seen);
      if (got < 0) die(there);
      double at = now_us();
      if (r >= 0) close(r);
      if (got == length && memcmp(seen, text, (size_t)length) == 0) {
        report("close to visible", at - closed, "us");
        break;
      }
      if (at - closed > PATIENCE_US) {
        fprintf(stderr, "fsbench: %s does not show version %d after 20 s\n", there, i);
        exit(1);
      }
      sleep_us(POLL_US);
    }
    sleep_us(IDLE_US);
  }
}

static void usage(void) {
  fprintf(stderr, "usage: fsbench metadata|directories|small|large|processes|directory NEW_DIRECTORY COUNT [BYTES|PROCESSES [TRACE_MARKER]]\n"
                  "       fsbench visible FILE_HERE FILE_THERE COUNT\n");
  exit(2);
}

int main(int argc, char **argv) {
  if (argc < 4) usage();
  const char *command = argv[1], *where = argv[2];
  if (strcmp(command, "visible") == 0) {
    if (argc != 5) usage();
    visible(where, argv[3], atoi(argv[4]));
    return 0;
  }
  int n = atoi(argv[3]);
  int64_t extra = argc > 4 ? atoll(argv[4]) : 0;
  if (n <= 0) usage();
  if (argc > 5 && (marker = open(argv[5], O_WRONLY)) < 0) die(argv[5]);
  enter_fresh(where);
  if (strcmp(command, "metadata") == 0) metadata(n);
  else if (strcmp(command, "directories") == 0) directories(n);
  else if (strcmp(command, "small") == 0) small(n);
  else if (strcmp(command, "large") == 0 && extra >= LARGE_STEP_BYTES) large(n, extra);
  else if (strcmp(command, "processes") == 0 && extra > 0) processes(n, (int)extra);
  else if (strcmp(command, "directory") == 0) directory(n);
  else usage();
  const char *slash = strrchr(where, '/');
  if (chdir("..") || rmdir(slash ? slash + 1 : where)) die(where);
  return 0;
}
