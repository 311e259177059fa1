// search.ts — programs that map files into memory or spill to temporary files: ripgrep, sort, mandb (gdbm), gzip, python's mmap.

import { command, type Program } from './program.js';

export const search: Program = {
  name: 'search',
  needs: [command('rg', 'ripgrep'), command('mandb', 'man-db'), command('sort', 'coreutils'), command('python3')],
  prepare: async (inputs) => {
    await inputs.bash(`
      mkdir -p man/man1
      for n in $(seq 300); do
        printf '.TH TOOL%s 1\\n.SH NAME\\ntool%s \\\\- does thing number %s\\n' $n $n $n | gzip -n > man/man1/tool$n.1.gz
      done
      seq 2000000 | awk '{print ($1 * 7919) % 2000003, "line", $1}' > lines
    `);
  },
  run: async (place) => {
    await place.bash(`
      cp -r "$INPUTS/man" "$INPUTS/lines" .
      test "$(rg --mmap -c '9 line' lines)" = "$(grep -c '9 line' lines)" || fail 'ripgrep counts otherwise than grep'
      test "$(rg --no-mmap -c '9 line' lines)" = "$(rg --mmap -c '9 line' lines)"

      mkdir tmp
      sort -n -S 4M -T tmp --parallel=2 --compress-program=gzip lines -o sorted
      sort -n -c sorted
      test "$(wc -l < sorted)" = 2000000
      sort -n -S 64M -T tmp lines | cmp - sorted
      sort -n -S 4M -T tmp -o sorted sorted                 # onto its own input
      test -z "$(ls tmp)" || fail "sort left $(ls tmp)"
      split -n l/7 -d sorted piece.; cat piece.* | cmp - sorted
      shuf --random-source=sorted lines | sort -n | cmp - sorted
      gzip -k lines; gzip -t lines.gz; zcat lines.gz | cmp - lines
      tac sorted | tac | cmp - sorted

      # man's database is gdbm's, and it caches what it formats.
      export MANPATH=$PWD/man
      mandb -q -c "$PWD/man"
      test "$(apropos -M "$PWD/man" -r 'thing number' | wc -l)" = 300 || fail 'mandb has not found all pages'
      whatis -M "$PWD/man" tool77 | grep -q 'number 77'
      rm man/man1/tool77.1.gz; mandb -q "$PWD/man"
      if whatis -M "$PWD/man" tool77 > /dev/null 2>&1; then fail 'mandb knows a page that is gone'; fi

      python3 - <<'END'
import mmap, os, random
random.seed(int(os.environ['SEED']))
SIZE = 8 << 20
model = bytearray(SIZE)
with open('mapped', 'w+b') as file:
    file.truncate(SIZE)
    with mmap.mmap(file.fileno(), SIZE) as first, mmap.mmap(file.fileno(), SIZE) as second:
        for step in range(3000):
            at = random.randrange(SIZE - 5000)
            data = random.randbytes(random.randrange(1, 5000))
            if step % 3 == 2: os.pwrite(file.fileno(), data, at)
            else: (first if step % 3 else second)[at:at + len(data)] = data
            model[at:at + len(data)] = data
            if step % 500 == 0: first.flush()
            if step % 100 == 0: assert os.pread(file.fileno(), SIZE, 0) == model, step
        assert first[:] == model and second[:] == model
with open('mapped', 'rb') as file: assert file.read() == model
END
    `);
  },
};
