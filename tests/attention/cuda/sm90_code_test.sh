#!/usr/bin/env bash
# Checks the machine code that nvcc made of the sm_90a kernels in OBJECT: warpgroup products (HGMMA) are
# under way together, and few are waited for one by one; the copy engine brings the tiles (UTMALDG);
# nothing is in local memory, where registers spill to.
#
#   sm90_code_test.sh CUOBJDUMP OBJECT
set -euo pipefail
cuobjdump=$1
object=$2
code=$("$cuobjdump" --dump-sass "$object")
usage=$("$cuobjdump" --dump-resource-usage "$object" | grep -E 'REG:')
failed=0
# expect TEXT CONDITION...: reports TEXT, and a failure unless the condition of test(1) holds.
expect() {
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
expect "$kernels kernels: 4, for two dtypes and two head_dims" "$kernels" -eq 4
expect "$products warpgroup products, of which $ends end a group: at most one in three" "$products" -ge $((3 * ends))
expect "$products warpgroup products: at least 80" "$products" -ge 80
expect "$copies copies of boxes: at least 12" "$copies" -ge 12
expect "$local_accesses accesses of local memory: none" "$local_accesses" -eq 0
expect "no kernel has a stack" \
  "$(grep -cE 'STACK:0 .*LOCAL:0' <<<"$usage")" -eq 4
expect "every kernel has 168 registers, which setmaxnreg shares out" "$(grep -c 'REG:168' <<<"$usage")" -eq 4
exit $failed
