import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript-api'
import { expect, test } from 'vitest'
import { root } from './support/database.js'

/** What the compiler says of src/model/ with a text of codes.ts that is on no disk. */
function faultsOf(codesText: string): string[] {
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2022.d.ts'],
    module: ts.ModuleKind.NodeNext,
    types: [],
  }
  const host = ts.createCompilerHost(options)
  const read = host.readFile
  host.readFile = name => (name.endsWith('src/model/codes.ts') ? codesText : read(name))
  const program = ts.createProgram([join(root, 'src/model/failure.ts')], options, host)
  return program
    .getSourceFiles()
    .filter(f => f.fileName.includes('/src/model/'))
    .flatMap(f => program.getSemanticDiagnostics(f))
    .map(d => `${d.file?.fileName.split('/').at(-1)}: ${ts.flattenDiagnosticMessageText(d.messageText, ' ')}`)
}

test('a new code without facts is one error, which names the code and the files', () => {
  const codes = readFileSync(join(root, 'src/model/codes.ts'), 'utf8')
  expect(
    faultsOf(codes.replace("  DRIFT: 'warn',\n", "  DRIFT: 'warn',\n  MOON_IS_FULL: 'warn',\n")),
  ).toEqual([
    expect.stringMatching(
      /^facts\.ts: .*MOON_IS_FULL has no facts: add them to src\/model\/facts_of_files\.ts or src\/model\/facts_of_runs\.ts/,
    ),
  ])
})
