import { cpSync, mkdtempSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './database.js'

/** A copy of the repository, with its packages by a link. */
export function copyOfRepository(): string {
  const folder = mkdtempSync('/tmp/rethread-contributor-')
  cpSync(root, folder, {
    recursive: true,
    filter: from => !/^(node_modules|dist|\.git|\.rethread)$/.test(from.slice(root.length + 1)),
  })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  return folder
}
