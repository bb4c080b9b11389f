import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { maskUrl, secretsIn } from '../database/address.js'
import { findingsOf } from '../model/failure.js'
import type { Finding } from '../model/report.js'

/** Writes a file that a flag names, and the folders above it; what the system has against it. */
export function writeOutput(cwd: string, path: string, text: string): Finding[] {
  try {
    const to = resolve(cwd, path)
    mkdirSync(dirname(to), { recursive: true })
    writeFileSync(to, text)
    return []
  } catch (error) {
    return findingsOf(error)
  }
}

/** No secret in any output: the URL's password is cut wherever it shows. */
export function maskSecrets(text: string, url: string): string {
  if (url === '') return text
  // the URL first: without its password it would not be found any more
  let masked = text.replaceAll(url, maskUrl(url))
  for (const secret of secretsIn(url)) masked = masked.replaceAll(secret, '***')
  return masked
}
