#!/usr/bin/env bash
# Make a disk image of the app bundle: make_dmg.sh "Memphis Desktop.app" image.dmg
# Signs with the identity in MACOS_IDENTITY when there is one; without, macOS asks the user once.
set -euo pipefail
app=$1 image=$2
if [ -n "${MACOS_IDENTITY:-}" ]; then
    codesign --force --deep --options runtime --timestamp --sign "$MACOS_IDENTITY" "$app"
fi
staging=$(mktemp -d)
trap 'rm -rf "$staging"' EXIT
cp -R "$app" "$staging/"
ln -s /Applications "$staging/Applications"
rm -f "$image"
hdiutil create -volname "Memphis Desktop" -srcfolder "$staging" -format UDZO -quiet "$image"
