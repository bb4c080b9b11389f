import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from './support/database.js'

/**
 * Words that the PostgreSQL manual would not use, and what it would: whoever reads is at work, often in a
 * second language.
 */
const unusual: [RegExp, string][] = [
  [/\bmend(s|ed|ing)?\b/i, 'fix'],
  [/\banew\b/i, 'again'],
  [/\b(is|are|was|were|be|not) told\b/i, 'shown, reported'],
  [/\bheard\b/i, 'noticed'],
  [/\b(he|his|him)\b/, 'they'],
  [/\bso (many|much) times as\b/i, 'as a multiple of'],
  [/\bstands (in|at|for|elsewhere|alone)\b/i, 'is'],
  [/\b(thrice|whilst|amid|thereof|whereof|hereby)\b/i, 'a usual word'],
  [/\bsees to it\b/i, 'makes sure'],
  [/\bput right\b/i, 'corrected'],
  [/\bcan not\b(?! only)/i, 'cannot'],
]

const within = (folder: string, ending: string): string[] =>
  readdirSync(join(root, folder), { recursive: true })
    .map(path => `${folder}/${path}`)
    .filter(path => path.endsWith(ending))

const files = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'action.yml',
  'src/operate/demo.ts',
  ...within('docs', '.md'),
  ...within('src/render/words', '.ts'),
  ...within('src/render/explanations', '.ts'),
  ...within('src/commands', '.ts'),
]

test('what people read is in usual words', () => {
  const found = files.flatMap(file =>
    readFileSync(join(root, file), 'utf8')
      .split('\n')
      .flatMap((line, i) =>
        unusual
          .filter(([word]) => word.test(line))
          .map(([word, instead]) => `${file}:${i + 1}: ${word.exec(line)![0]} (${instead})`),
      ),
  )
  expect(found).toEqual([])
})

test.each([
  'Mend the file',
  'it is told at the end',
  'so many times as long',
  'what stands in it',
  'his table',
])('the rule sees %j', text => expect(unusual.some(([word]) => word.test(text))).toBe(true))
