#!/bin/sh
# A nightly job without a program of your own: export every callflow of every customer to FOLDER/DATE.ndjson.
#
#     nightly_export.sh FOLDER
#
# A run that was interrupted, even by SIGKILL, is continued by running the script again on the same day. The file has
# its final name when nothing is missing; until then it is DATE.part.ndjson. The exit codes are those of the command.
set -u
day=${1:?"usage: nightly_export.sh FOLDER"}/$(date +%F)
final=$day.ndjson
part=$day.part.ndjson
if [ -e "$final" ]; then
    exit 0
elif [ -e "$part.checkpoint" ]; then
    vinix callflows export --resume "$part.checkpoint" --outage-wait 3600
else # a run that has saved no checkpoint has nothing to lose, so --force may replace its file
    vinix callflows export --descendants-of ROOT --details --to "$part" --force --outage-wait 3600
fi || exit $?
mv "$part" "$final"
