#!/bin/sh
# keep_ptxas_report.sh COMPILER ... -o OBJECT ...: compiles, and writes the report of ptxas on each kernel's registers,
# stack and spills to OBJECT.ptxas instead of the terminal.
object=""
previous=""
for argument in "$@"; do
  [ "$previous" = "-o" ] && object=$argument
  previous=$argument
done
if [ -z "$object" ]; then
  exec "$@"
fi
"$@" 2>"$object.ptxas"
status=$?
grep -v -E '^(ptxas info|    [0-9]+ bytes stack frame)' "$object.ptxas" >&2
exit $status
