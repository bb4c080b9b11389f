import { readFileSync, statSync } from 'node:fs'
import { isSystemError, whyNotRead } from '../model/failure.js'

/** Reads a JSON file. Returns its value, or the reason that it cannot be read, as the end of a sentence. */
export function readJson(path: string): { json: unknown } | { reason: string } {
  try {
    // reading a pipe would block, and a device may have no end
    const there = statSync(path)
    if (!there.isFile() && !there.isDirectory()) return { reason: 'it is not a file' }
    return { json: JSON.parse(readFileSync(path, 'utf8').replace(/^\uFEFF/, '')) }
  } catch (error) {
    // the message quotes the text, which may be confidential
    if (error instanceof SyntaxError) return { reason: `not JSON${whereItStopped(error.message)}` }
    if (isSystemError(error)) return { reason: whyNotRead(error) }
    throw error
  }
}

/** The position from a parser's message. Empty if it has none. */
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
