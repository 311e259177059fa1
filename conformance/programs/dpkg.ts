// dpkg.ts — large Debian packages unpacked, every file checked against the package's own md5sums.

import { command, type Program } from './program.js';

/** Many small files, deep directories, symbolic links, large binaries. */
const PACKAGES = 'perl-modules-5.36 vim-runtime git libc6-dev gcc-12 python3-doc';

export const dpkg: Program = {
  name: 'dpkg',
  needs: [command('dpkg'), command('apt-get', 'apt')],
  prepare: async (inputs) => {
    // apt fetches as the user _apt, who cannot write here: not a trouble, but it says so.
    await inputs.bash(`apt-get download -qq -o APT::Sandbox::User=root ${PACKAGES}`);
  },
  run: async (place) => {
    await place.bash(`
      # A plain user's files are its own, whatever the archive says.
      compare() {
        if test $UID = 0; then tar -d "$@"; else { tar -d "$@" || true; } | { ! grep -Ev ': [UG]id differs$'; }; fi
      }
      for package in "$INPUTS"/*.deb; do
        name=$(dpkg-deb -f "$package" Package)
        dpkg -x "$package" "$name"
        dpkg -e "$package" "$name.control"
        (cd "$name"; md5sum --quiet -c "../$name.control/md5sums")
        dpkg-deb --fsys-tarfile "$package" | compare -C "$name" -f - || fail "$name differs from its archive"
        dpkg-deb --fsys-tarfile "$package" | tar -t | wc -l > expected
        find "$name" | wc -l | cmp - expected || fail "$name holds another number of files than its archive"
      done
      # Packed again from the place: the same tree, the same bytes.
      mkdir -p git/DEBIAN; cp git.control/control git/DEBIAN/
      dpkg-deb -Znone --root-owner-group -b git again.deb > /dev/null
      rm -r git/DEBIAN
      dpkg-deb --fsys-tarfile again.deb | compare -C git -f -
    `);
  },
};
