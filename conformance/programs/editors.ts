// editors.ts — saving as vim and emacs do: a backup beside it, a swap or lock file meanwhile, rename or rewrite in place.
// What must survive a save: the mode, the owner, symbolic and hard links; what must not: swap and lock files.

import { command, type Program } from './program.js';

export const vim: Program = {
  name: 'vim',
  needs: [command('vim')],
  run: async (place) => {
    await place.bash(`
      # vim and emacs make no backups below /tmp unless they are told to.
      edit() { timeout 60 vim -u NONE -i NONE -n -es -c 'set backupskip=' "$@" < /dev/null || fail "vim $*"; }
      for round in 1 2 3 4 5; do
        rm -rf * .file*
        echo original > file; chmod 640 file; inode=$(stat -c %i file)

        # A new file is written, renamed over the old one, which becomes the backup.
        edit -c 'set backup backupcopy=no writebackup' -c '%s/original/first/' -c wq file
        test "$(cat file)" = first -a "$(cat file~)" = original || fail 'save by rename'
        test "$(stat -c %i file~)" = "$inode" || fail 'the backup is not the old inode'
        test "$(stat -c %a file)" = 640 || fail "the mode became $(stat -c %a file)"

        # The backup is a copy, the file is rewritten in place.
        inode=$(stat -c %i file)
        edit -c 'set backup backupcopy=yes' -c '%s/first/second/' -c wq file
        test "$(cat file)" = second -a "$(cat file~)" = first || fail 'save in place'
        test "$(stat -c %i file)" = "$inode" || fail 'save in place made another inode'

        # With links vim must keep them (backupcopy=auto).
        ln file hard; ln -s file soft
        edit -c 'set backupcopy=auto' -c '%s/second/third/' -c wq soft
        test -L soft -a "$(cat hard)" = third -a file -ef hard || fail 'links were not kept'

        # Swap file, undo file, and recovery of what was never saved.
        timeout 60 vim -u NONE -i NONE -es -c 'set undofile updatecount=1' -c '%s/third/fourth/' -c wq file < /dev/null
        test -e .file.un~ || fail 'no undo file'
        vim -u NONE -i NONE -es -c '%s/fourth/unsaved/' -c preserve -c 'sleep 60' file < /dev/null &
        editor=$!
        for try in $(seq 200); do test -s .file.swp && grep -q unsaved .file.swp && break; sleep 0.05; done
        kill -9 $editor; wait $editor 2> /dev/null || true
        test -e .file.swp || fail 'no swap file after a crash'
        timeout 60 vim -u NONE -i NONE -es -r file -c 'w! recovered' -c q! < /dev/null > /dev/null 2>&1 || true
        test "$(cat recovered)" = unsaved || fail "recovered '$(cat recovered)'"
        test "$(cat file)" = fourth
      done
    `);
  },
};

export const emacs: Program = {
  name: 'emacs',
  needs: [command('emacs', 'emacs-nox')],
  run: async (place) => {
    await place.bash(`
      edit() { timeout 60 emacs --batch -Q --eval "(progn (setq backup-enable-predicate (lambda (_) t)) $1)" 2> log || fail "emacs: $(cat log)"; }
      replace() { echo "(goto-char 1) (while (search-forward \\"$1\\" nil t) (replace-match \\"$2\\"))"; }
      echo original > file; chmod 640 file; inode=$(stat -c %i file)

      # The old file is renamed to the backup, a new one written.
      edit "(setq backup-by-copying nil) (find-file \\"file\\") $(replace original first) (save-buffer)"
      test "$(cat file)" = first -a "$(cat file~)" = original || fail 'save by rename'
      test "$(stat -c %i file~)" = "$inode" || fail 'the backup is not the old inode'
      test "$(stat -c %a file)" = 640 || fail "the mode became $(stat -c %a file)"

      # Numbered backups by copying keep links.
      ln file hard; inode=$(stat -c %i file)
      edit "(setq backup-by-copying-when-linked t version-control t) (find-file \\"file\\") $(replace first second) (save-buffer)"
      test "$(cat hard)" = second -a "$(stat -c %i file)" = "$inode" || fail 'the hard link was not kept'
      ls file.~*~ > /dev/null || fail 'no numbered backup'

      # Lock files are symbolic links that point nowhere; auto-save files go when the file is saved.
      edit "(setq create-lockfiles t) (find-file \\"file\\") $(replace second third) (lock-buffer)
        (unless (file-symlink-p \\".#file\\") (error \\"no lock file\\")) (do-auto-save) (save-buffer)"
      test ! -L '.#file' || fail 'the lock file stayed'
      test "$(cat file)" = third
      # Written atomically, and a check that nobody else changed the file meanwhile.
      edit "(setq file-precious-flag t) (find-file \\"file\\") $(replace third fourth) (save-buffer)
        (unless (verify-visited-file-modtime) (error \\"the time of the file is not what emacs set\\"))"
      test "$(cat file)" = fourth
    `);
  },
};
