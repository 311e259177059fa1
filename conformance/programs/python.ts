// python.ts — CPython's own tests of os, shutil, posix, mmap and what builds on files, with their temporary directory on the place.

import type { Program } from './program.js';

const TESTS =
  'test_os test_posix test_posixpath test_genericpath test_shutil test_tempfile test_pathlib test_glob test_mmap test_fcntl test_fileio ' +
  'test_file test_largefile test_stat test_tarfile test_zipfile test_mailbox test_dbm_dumb test_filecmp';

export const python: Program = {
  name: 'python',
  needs: [{ probe: '/usr/bin/python3 -c "import test.test_os"', debianPackage: 'libpython3.11-testsuite' }],
  run: async (place) => {
    await place.bash(
      `
      mkdir tmp; export TMPDIR=$PWD/tmp
      # -u largefile: a test of 2.5 GB, sparse but for its end.
      /usr/bin/python3 -m test -q --timeout 300 -u largefile --tempdir "$TMPDIR" ${TESTS} > log 2>&1 \\
        || fail "$(grep -E '^(FAIL|ERROR|[A-Za-z]*Error|  File)|failed' log | head -40)"
    `,
      20 * 60_000,
    );
  },
};
