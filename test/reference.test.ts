import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { discover } from '../src/files/discover.js'
import { codes, type HazardCode, hazardLevels, hazards } from '../src/model/codes.js'
import type { Explanation } from '../src/model/explanation.js'
import type { Check } from '../src/model/project.js'
import { checkExplanations } from '../src/render/explanations/checks.js'
import type { Explanations } from '../src/render/explanations/explained.js'
import { fileExplanations } from '../src/render/explanations/files.js'
import { fleetExplanations } from '../src/render/explanations/fleet.js'
import { hazardExplanations } from '../src/render/explanations/hazards.js'
import { historyExplanations } from '../src/render/explanations/history.js'
import { explanations } from '../src/render/explanations/index.js'
import { layoutExplanations } from '../src/render/explanations/layouts.js'
import { rollbackExplanations } from '../src/render/explanations/rollback.js'
import { runExplanations } from '../src/render/explanations/runs.js'
import { sessionExplanations } from '../src/render/explanations/sessions.js'
import { statusExplanations } from '../src/render/explanations/status.js'
import { targetExplanations } from '../src/render/explanations/target.js'
import { toolExplanations } from '../src/render/explanations/tools.js'
import { usageExplanations } from '../src/render/explanations/usage.js'
import { example } from '../src/render/words/examples.js'
import { worded } from '../src/render/words/index.js'
import { wrapped } from '../src/render/wrap.js'
import { rethread } from './support/cli.js'
import { root } from './support/database.js'

/** Where a page of the reference is kept: it is its own golden, and `npm test -- -u` writes it again. */
const page = (name: string): string => join(root, `docs/reference/${name}.md`)

const made = '<!-- This page is made from the code by test/reference.test.ts. Do not edit it by hand. -->'

const prose = (text: string): string => wrapped(text.replaceAll('<', '\\<'), 98).join('\n')

const block = (text: string): string => `\`\`\`text\n${wrapped(text, 96).join('\n')}\n\`\`\``

const section = (name: string, { means, matters, action }: Explanation): string[] => [
  `### ${name}`,
  '',
  prose(means),
  '',
  prose(`**Why it matters.** ${matters}`),
  '',
  prose(`**What to do.** ${action}`),
  '',
]

const groups: [title: string, group: Explanations][] = [
  ['Files and configuration', fileExplanations],
  ['Files of other tools', layoutExplanations],
  ['Histories of other tools, exports and repairs', toolExplanations],
  ['Ledger, pinned plans and rehearsals', historyExplanations],
  ['Server, role and database', targetExplanations],
  ['Runs', runExplanations],
  ['Sessions', sessionExplanations],
  ['Status', statusExplanations],
  ['Verification', checkExplanations],
  ['Rollback, restore and prune', rollbackExplanations],
  ['Command line', usageExplanations],
  ['Many databases', fleetExplanations],
]

const { tracks } = discover(root)

describe('the reference is what the code says', () => {
  test('findings', async () => {
    const named = groups.flatMap(([, group]) => Object.keys(group))
    expect(named.sort()).toEqual(Object.keys(codes).sort())
    const lines = groups.flatMap(([title, group]) => [
      `## ${title}`,
      '',
      ...Object.keys(group).flatMap(name => {
        const code = name as keyof typeof codes
        const { message, fix } = worded(example(code))
        return [
          ...section(name, explanations[code]),
          `Level: ${codes[code]}. For example:`,
          '',
          block(fix === null ? message : `${message}\nFix: ${fix}`),
          '',
        ]
      }),
    ])
    await expect(
      [
        '# Findings',
        '',
        made,
        '',
        'A report names each thing that it found by a code. This page explains every code. Use it to look',
        'up a code in a report. `rethread explain` shows the same text on a terminal:',
        '',
        '```text',
        'rethread explain MISSING_PRIVILEGE',
        '```',
        '',
        'Each code has a level:',
        '',
        '| level | meaning |',
        '|---|---|',
        '| `info` | never changes the verdict |',
        '| `warn` | may make the verdict attention (exit code 1) |',
        '| `error` | makes the verdict failed (exit code 2) or attention |',
        '| `refused` | a guard said no (exit code 3) |',
        '',
        ...lines,
      ].join('\n'),
    ).toMatchFileSnapshot(page('findings'))
  })

  test('hazards', async () => {
    const levels: Record<(typeof hazardLevels)[number], string> = {
      felt: 'The application may notice it: short waits, more load.',
      outage: 'The application has to wait for long, or must be replaced first.',
      loss: 'Data may be lost, or seen by somebody who should not see it.',
    }
    const lines = hazardLevels.flatMap(level => [
      `## Level ${level}`,
      '',
      levels[level],
      '',
      ...(Object.keys(hazards) as HazardCode[])
        .filter(code => hazards[code] === level)
        .flatMap(code => [
          ...section(code, hazardExplanations[code]),
          'For example:',
          '',
          block(hazardExplanations[code].example),
          '',
        ]),
    ])
    await expect(
      [
        '# Hazards',
        '',
        made,
        '',
        'A hazard is what a statement can do to a running application or to its data. `plan` shows the',
        'hazards of each step. A run refuses a hazard of the level that `consentFrom` sets (by default',
        '`outage`) and above, unless `--allow` names it. Use this page to decide whether to allow one:',
        '',
        '```text',
        'rethread migrate --phase contract --allow ENDS_OLD_APP,QUARANTINES_ROWS',
        '```',
        '',
        ...lines,
      ].join('\n'),
    ).toMatchFileSnapshot(page('hazards'))
  })

  test('commands', async () => {
    const list = (await rethread('', ['--help'], { json: false })).stdout
    const names = list.match(/^ {2}(?=\S+ \[options\])\S+/gm)!.map(name => name.trim())
    const parts: string[] = []
    for (const name of names) {
      const { stdout } = await rethread('', [name, '--help', '--dir', root], { json: false })
      const [own] = stdout.split(/\nCommon options:|\nExit codes:/)
      const [, example] = /\nExample:\n {2}(.+)\n/.exec(stdout)!
      parts.push(
        `## ${name}`,
        '',
        '```text',
        own!.trimEnd(),
        '```',
        '',
        'Example:',
        '',
        '```text',
        example!,
        '```',
        '',
      )
    }
    const { stdout } = await rethread('', ['migrate', '--help', '--dir', root], { json: false })
    const [, common] = /\nCommon options:\n([\s\S]+?)\n\nExample/.exec(stdout)!
    const [, codesText] = /\nExit codes:\n([\s\S]+)$/.exec(stdout)!
    await expect(
      [
        '# Commands',
        '',
        made,
        '',
        'All commands with their options, as `rethread <command> --help` shows them. A flag has precedence',
        'over the environment, and the environment over `rethread.config.json`.',
        '',
        ...parts,
        '## Common options',
        '',
        'Each command has those of these options that apply to it.',
        '',
        '```text',
        common!.trimEnd(),
        '```',
        '',
        '## Exit codes',
        '',
        '```text',
        codesText!.trimEnd(),
        '```',
        '',
      ].join('\n'),
    ).toMatchFileSnapshot(page('commands'))
  })

  test('settings', async () => {
    const lines = tracks.flatMap(({ name }) => {
      const file = join(root, `migrations/${name}/track.json`)
      // a track may do without one, and then has no settings
      if (!existsSync(file)) return []
      const info = JSON.parse(readFileSync(file, 'utf8'))
      const settings = Object.entries((info.settings ?? {}) as Record<string, Setting>)
      return [
        `## ${name}`,
        '',
        prose(`${info.title}: ${info.for}.`),
        '',
        ...(settings.length === 0 ? ['This track has no settings.', ''] : []),
        ...settings.flatMap(([setting, { help, default: usual, pattern, values }]) => [
          `### ${setting}`,
          '',
          prose(`${help[0]!.toUpperCase()}${help.slice(1)}.`),
          '',
          `- Default: ${usual === null ? 'none' : `\`${usual}\``}`,
          ...(values ? [`- Values: ${values.map(value => `\`${value}\``).join(', ')}`] : []),
          ...(pattern ? [`- Pattern: \`${pattern}\``] : []),
          '',
        ]),
      ]
    })
    await expect(
      [
        '# Settings of the tracks',
        '',
        made,
        '',
        'A setting changes what the SQL files of a track do. Write it into `rethread.config.json`, under',
        '`settings`, before the first step:',
        '',
        '```json',
        '{ "track": "workspace-sessions", "settings": { "legacy_grouping": "author" } }',
        '```',
        '',
        ...lines,
      ].join('\n'),
    ).toMatchFileSnapshot(page('settings'))
  })

  test('checks', async () => {
    const shown = (checks: Check[]): string[] => [
      '| check | kind | level | what it says | applies |',
      '|---|---|---|---|---|',
      ...[...checks]
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .map(({ name, title, level, kind, after, gate }) => {
          const applies = [
            ...(after ? [`from \`${after}\` on`] : []),
            ...(gate ? [`must pass before \`${gate}\``] : []),
          ].join('; ')
          return `| \`${name}\` | ${kind} | ${level} | ${title.replaceAll(/[<|]/g, '\\$&')} | ${applies} |`
        }),
    ]
    const shared = new Map(tracks.flatMap(t => t.checks.filter(c => c.shared).map(c => [c.name, c])))
    const lines = tracks.flatMap(t => [`## ${t.name}`, '', ...shown(t.checks.filter(c => !c.shared)), ''])
    await expect(
      [
        '# Checks',
        '',
        made,
        '',
        '`rethread verify` runs these checks. Each is one SQL file in `verify/`. Use this page to see what',
        'is checked. To run one of them by name:',
        '',
        '```text',
        'rethread verify --only foreign_keys_indexed',
        '```',
        '',
        '| kind | what it does |',
        '|---|---|',
        '| check | finds what is wrong |',
        '| access | tries operations as several persons, in a transaction that is rolled back |',
        '| probe | goes through the steps of a person, in a transaction that is rolled back |',
        '| listing | shows rows |',
        '| account | counts what came in and what became of it, for `prove` |',
        '| outlook | looks at the data before the migration, in `plan` |',
        '',
        '## Every track',
        '',
        ...shown([...shared.values()]),
        '',
        ...lines,
      ].join('\n'),
    ).toMatchFileSnapshot(page('checks'))
  })
})

interface Setting {
  help: string
  default: string | null
  pattern?: string
  values?: string[]
}
