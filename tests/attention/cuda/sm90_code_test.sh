#!/usr/bin/env bash
# What nvcc made of the sm_90a kernels: warpgroup products under way together (HGMMA, few of them
# waited for one by one), tiles brought by the copy engine (UTMALDG), nothing in local memory.
#
#   sm90_code_test.sh CUOBJDUMP OBJECT
set -euo pipefail
cuobjdump=$1
object=$2
code=$("$cuobjdump" --dump-sass "$object")
usage=$("$cuobjdump" --dump-resource-usage "$object" | grep -E 'REG:')
failed=0
expect() { # TEXT CONDITION...
  local text=$1
  shift
  if [ "$@" ]; then
    echo "ok: $text"
  else
    echo "FAILED: $text" >&2
    failed=1
  fi
}

kernels=$(grep -c 'Function : ' <<<"$code")
products=$(grep -c 'HGMMA' <<<"$code")
ends=$(grep -c 'HGMMA.*gsb0' <<<"$code")
copies=$(grep -c 'UTMALDG' <<<"$code")
local_accesses=$(grep -cE '\b(LDL|STL)\b' <<<"$code" || true)
expect "$kernels kernels: two types, two head_dims" "$kernels" -eq 4
expect "$products warpgroup products, $ends of them end a group" "$products" -ge $((3 * ends))
expect "there are warpgroup products" "$products" -ge 80
expect "$copies copies of boxes" "$copies" -ge 12
expect "$local_accesses accesses of local memory" "$local_accesses" -eq 0
expect "no stack" \
  "$(grep -cE 'STACK:0 .*LOCAL:0' <<<"$usage")" -eq 4
expect "168 registers: what setmaxnreg shares out" "$(grep -c 'REG:168' <<<"$usage")" -eq 4
exit $failed
