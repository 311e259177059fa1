// find-du-df.ts — find's tests, du's sums and df's figures agree with what was made: st_nlink, st_blocks, d_type, statfs.

import { command, type Program } from './program.js';

export const findDuDf: Program = {
  name: 'find-du-df',
  needs: [command('find', 'findutils'), command('du', 'coreutils')],
  run: async (place) => {
    await place.bash(`
      for d in $(seq 20); do
        mkdir -p tree/d$d/sub
        (cd tree/d$d; for f in $(seq 100); do echo $f > f$f; done; ln f1 sub/hard; ln -s f2 soft; : > empty; mkfifo pipe)
      done
      count() { test "$(find tree "\${@:2}" | wc -l)" = "$1" || fail "find \${*:2}: $(find tree "\${@:2}" | wc -l), not $1"; }
      count 41 -type d; count 2040 -type f; count 20 -type l; count 20 -type p; count 40 -links 2 -type f
      count 20 -empty -type f; count 20 -name hard -samefile tree/d1/f1 -o -name hard
      count 2 -samefile tree/d7/f1; count 2 -inum $(stat -c %i tree/d7/f1)
      count 100 -path 'tree/d7/f*' -size -2; count 0 -size +1 -type f; count 20 -lname f2; count 0 -nouser; count 20 -name 'f9?' -path '*/d7/*' -o -name 'f8?' -path '*/d7/*'
      # -noleaf off: find trusts the link counts of directories.
      test "$(stat -c %h tree)" = 22 -a "$(stat -c %h tree/d7)" = 3 || fail "link counts $(stat -c '%n %h' tree tree/d7)"
      touch -d '2020-01-01' mark; touch -d '2019-12-31 23:59:59.999999999' tree/d3/f3
      count 1 -type f ! -newer mark
      count 20 -type f -name f4 -newermt '2020-01-01 00:00:00'
      chmod 4711 tree/d5/f5; count 1 -perm -4000; count 1 -perm 4711

      # du counts a file with two names once.
      dd if=/dev/zero of=big bs=1M count=8 status=none; ln big big2
      test "$(du -k big | cut -f1)" -ge 8192 -a "$(du -k big | cut -f1)" -lt 8300 || fail "8 MiB take $(du -k big) KiB"
      test "$(du -kc big big2 | tail -1 | cut -f1)" -lt 8300 || fail 'du counts a hard link twice'
      test "$(du -b --apparent-size big | cut -f1)" = 8388608
      truncate -s 1T hole; test "$(du -k hole | cut -f1)" -lt 100 || fail "a hole takes $(du -k hole)"
      test "$(du --inodes -s tree | cut -f1)" = "$(find tree -printf '%i\\n' | sort -u | wc -l)"
      test "$(find tree -printf '%D\\n' | sort -u | wc -l)" = 1 || fail 'one tree, several devices'

      # df: what is written is used. Others may free as much at the same moment, but not three times.
      test "$(df -k --output=size . | tail -1)" -gt 0 -a "$(df -k --output=avail . | tail -1)" -gt 0
      used() { df -k --output=used . | tail -1; }
      for try in 1 2 3; do
        before=$(used)
        dd if=/dev/urandom of=more bs=1M count=256 conv=fsync status=none
        more=$(($(used) - before))
        rm more
        test $more -lt 200000 || break
      done
      test $more -ge 200000 || fail "256 MiB more, and df shows $more KiB more"
      df -i . > /dev/null; stat -f . > /dev/null
      test "$(stat -f -c %l .)" = 255 || fail "names may be $(stat -f -c %l .) bytes long"
      cd tree; test "$(readlink -f d1/soft)" = "$PWD/d1/f2"
      ls -laR > /dev/null; test "$(ls -U d9 | wc -l)" = 104 || fail "ls shows $(ls -U d9 | wc -l) names"
      cd ..; rm -r tree; test ! -e tree
    `);
  },
};
