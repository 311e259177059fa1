#!/bin/sh
# mount-demo.sh — `make mount`: VOLUME at MOUNTPOINT, whatever is there already: new, known and unmounted, or mounted.
# usage: WEFT='node …/main.js' mount-demo.sh VOLUME MOUNTPOINT
set -eu
volume=$1
mountpoint=$2

if status=$($WEFT status "$mountpoint" --json 2>/dev/null); then
  case $status in
    *'"mounted": true'*)
      $WEFT status "$mountpoint"
      echo "already mounted at $mountpoint; make umount unmounts it, weft invite $mountpoint lets another site join"
      ;;
    *)
      # A mount that died is there and cannot be looked at: weft mount knows what to do, and says what it cannot.
      mkdir -p "$mountpoint" 2>/dev/null || true
      $WEFT mount "$mountpoint"
      ;;
  esac
else
  mkdir -p "$mountpoint"
  $WEFT create "$volume" "$mountpoint"
fi
echo
echo "weft is $WEFT; a second site on this machine:"
echo "  mkdir -p $mountpoint-2"
echo "  $WEFT join \"\$($WEFT invite $mountpoint)\" $mountpoint-2 --site second --state $mountpoint-2.state"
