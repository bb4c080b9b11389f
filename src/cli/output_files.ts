import { extname } from 'node:path'
import { formats, formatsByEnding } from '../library/discovery.js'
import { UsageError } from '../model/failure.js'
import type { Typed } from '../model/options.js'
import { nearest } from '../model/similar.js'
import { checkOutput } from './output.js'

/** A file for the report, and its format. */
export interface OutputFile {
  path: string
  format: string
}

/**
 * The files of `--output`. The format is the text after the last `=`, else the ending of the name, else that
 * of `--format`. Throws UsageError for an unknown format.
 */
export async function readOutputFiles(typed: Typed, format: string): Promise<OutputFile[]> {
  if (!Array.isArray(typed) || typed.length === 0) return []
  const known = await formats()
  const byEnding = await formatsByEnding()
  return typed.map(text => {
    const at = text.lastIndexOf('=')
    const word = text.slice(at + 1)
    // a path may contain `=`; a format contains neither a dot nor a slash
    const named = at > 0 && !/[./\\]/.test(word)
    const path = named ? text.slice(0, at) : text
    if (path === '') throw new UsageError('--output', 'it needs the name of a file')
    if (named && !known.includes(word)) {
      const meant = nearest(word, known)
      const right = { known, meant: meant && `--output ${path}=${meant}` }
      throw new UsageError(`--output ${text}`, 'there is no such format', right)
    }
    return { path, format: (named ? word : null) ?? byEnding.get(extname(path).toLowerCase()) ?? format }
  })
}

/** Whether the report is also printed: if there is no file, or if `--format` is given and no file has it. */
export const printsToo = (files: OutputFile[], format: string | null): boolean =>
  files.length === 0 || (format !== null && !files.some(file => file.format === format))

/** Throws UsageError if a file that a flag names cannot be written, before the command runs. */
export function checkOutputs(cwd: string, files: OutputFile[], typed: Record<string, Typed>): void {
  for (const { path } of files) checkOutput(cwd, '--output', path)
  for (const [flag, path] of [
    ['--out', typed.out],
    ['--fix-up', typed.fixUp],
  ] as const)
    if (typeof path === 'string') checkOutput(cwd, flag, path)
}
