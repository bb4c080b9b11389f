import { readFileSync } from 'node:fs'
import { isSystemError } from '../model/failure.js'

/** The document of a JSON file, or why there is none, as the end of a sentence. */
export function readJson(path: string): { json: unknown } | { reason: string } {
  try {
    return { json: JSON.parse(readFileSync(path, 'utf8').replace(/^\uFEFF/, '')) }
  } catch (error) {
    if (error instanceof SyntaxError) return { reason: `not JSON: ${error.message}` }
    if (isSystemError(error)) return { reason: `it can't be read: ${error.message}` }
    throw error
  }
}
