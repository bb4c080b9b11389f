#!/usr/bin/env bash
# For any other CI, or by hand. `deploy.sh plan` writes plan.json and plan.md, to be kept and read;
# `deploy.sh migrate` applies plan.json and verifies. DATABASE_URL names the database, and ALLOW the
# hazards that may happen, separated by commas.
set -euo pipefail

case "${1:-}" in
  plan)
    npx rethread lint
    npx rethread plan --out plan.json --allow "${ALLOW:-}" --output plan.md --output report.json --format table
    ;;
  migrate)
    npx rethread migrate --plan plan.json --allow "${ALLOW:-}" --reason "${REASON:-deploy.sh}"
    npx rethread verify
    ;;
  *)
    echo "usage: $0 plan|migrate" >&2
    exit 2
    ;;
esac
