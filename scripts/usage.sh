# shellcheck shell=bash
# Sourced by the scripts beside it, with a script's flags, `--`, and its arguments:
#
#   . "$(dirname "$0")/usage.sh" --minutes -- "$@"
#
# -h and --help print the comment at the head of the script, and another flag is an error. The word `any` among the flags
# stands for all others, which the script hands on.
known=" "
while [ "$1" != -- ]; do
  known+="$1 "
  shift
done
shift
for argument in "$@"; do
  case $argument in
    -h | --help)
      sed -n '1d; /^#/!q; /^# shellcheck/d; s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    -*)
      [[ $known == *" $argument "* || $known == *" any "* ]] || {
        echo "$(basename "$0"): there is no flag $argument; see --help" >&2
        exit 2
      }
      ;;
  esac
done
unset known argument
