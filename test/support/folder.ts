import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** A folder made of the files given. */
export function folder(files: Record<string, string | Buffer>): string {
  const root = mkdtempSync('/tmp/rethread-folder-')
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return root
}
