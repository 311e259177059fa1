// git.ts — a repository's life: clone, repack, prune, every branch and tag checked out, worktrees, rebase; git's own fsck after each.

import { projectRoot } from '../../scripts/sites/project-root.js';
import { command, type Program } from './program.js';

export const git: Program = {
  name: 'git',
  needs: [command('git')],
  prepare: async (inputs) => {
    // As a bare mirror: the branches of a working tree may move while this runs.
    // It may belong to somebody else, which git asks to be told of.
    await inputs.bash(`
      printf '[safe]\\n\\tdirectory = *\\n' > gitconfig
      GIT_CONFIG_GLOBAL=$PWD/gitconfig git clone -q --mirror '${projectRoot()}' origin.git
    `);
  },
  run: async (place) => {
    await place.bash(`
      export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
      export GIT_AUTHOR_NAME=Weft GIT_AUTHOR_EMAIL=weft@example.org GIT_COMMITTER_NAME=Weft GIT_COMMITTER_EMAIL=weft@example.org
      git clone -q --no-local "$INPUTS/origin.git" clone
      cd clone
      git fsck --full --strict --no-progress
      test -z "$(git status --porcelain)" || fail "a fresh clone is dirty: $(git status --porcelain | head -5)"
      head=$(git rev-parse HEAD)

      # The tree of a dozen commits along the history, each compared with what git itself says it holds.
      for commit in $(git rev-list HEAD | awk 'NR % 12 == 1' | head -12); do
        git checkout -q "$commit"
        test -z "$(git status --porcelain --ignored)" || fail "checkout of $commit left $(git status --porcelain | head -3)"
        test "$(git write-tree)" = "$(git rev-parse "$commit^{tree}")" || fail "checkout of $commit: another tree"
      done
      git checkout -q "$head"
      git ls-files -z | xargs -0 git hash-object --no-filters > ../hashes
      git ls-files -s | awk '{print $2}' | cmp - ../hashes

      # Branches, a merge with a conflict, a rebase, a stash.
      git checkout -q -b left; echo left > both; git add both; git commit -q -m left
      git checkout -q -b right "$head"; echo right > both; echo more > only-right; git add .; git commit -q -m right
      if git merge -q left > /dev/null 2>&1; then fail 'a conflict merged by itself'; fi
      printf 'left\\nright\\n' > both; git add both; git commit -q -m merged
      git checkout -q -b rebased "$head"; for n in 1 2 3 4 5; do echo $n > file$n; git add .; git commit -q -m "number $n"; done
      git rebase -q left
      test "$(cat file5)" = 5
      echo changed > both; git stash -q; test "$(cat both)" = left; git stash pop -q; test "$(cat both)" = changed; git checkout -q both

      git worktree add -q ../worktree left
      test "$(git -C ../worktree rev-parse HEAD)" = "$(git rev-parse left)"
      test -z "$(git -C ../worktree status --porcelain)"
      git worktree remove ../worktree
      test ! -e ../worktree

      git gc -q --aggressive --prune=now
      git fsck --full --strict --no-progress
      test "$(git count-objects -v | awk '/^count:/ {print $2}')" = 0 || fail 'gc left loose objects'
      git checkout -q left; git branch -q -D rebased; git reflog expire --expire=now --all; git gc -q --prune=now
      git fsck --full --strict --no-progress
      git bundle create -q ../bundle --all
      git clone -q ../bundle ../again
      git -C ../again fsck --full --strict --no-progress
      cd ..
      # A local clone hard-links the objects.
      git clone -q --local clone linked
      find linked/.git/objects -name '*.pack' -links 2 | grep -q . || fail 'clone --local made no hard links'
      git -C linked fsck --full --strict --no-progress
    `);
  },
};
