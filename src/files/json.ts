import { readFileSync, statSync } from 'node:fs'
import { isSystemError, whyNotRead } from '../model/failure.js'

/** The document of a JSON file, or why there is none, as the end of a sentence. */
export function readJson(path: string): { json: unknown } | { reason: string } {
  try {
    // a pipe would be waited for, a device read without an end
    const there = statSync(path)
    if (!there.isFile() && !there.isDirectory()) return { reason: 'it is not a file' }
    return { json: JSON.parse(readFileSync(path, 'utf8').replace(/^\uFEFF/, '')) }
  } catch (error) {
    // the parser quotes what it finds, and the file may be any
    if (error instanceof SyntaxError) return { reason: `not JSON${whereItStopped(error.message)}` }
    if (isSystemError(error)) return { reason: whyNotRead(error) }
    throw error
  }
}

/** Where the parser stopped; nothing where it does not say. */
export function whereItStopped(message: string): string {
  const [, line, column] = /line (\d+) column (\d+)/.exec(message) ?? []
  const [, position] = /at position (\d+)/.exec(message) ?? []
  if (line) return `: line ${line}, column ${column}`
  return position
    ? `: character ${Number(position) + 1}`
    : /Unexpected end/.test(message)
      ? ': it ends early'
      : ''
}
