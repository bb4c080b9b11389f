import { defineConfig } from 'vitest/config'
import {
  BaseSequencer,
  type Reporter,
  type TestModule,
  type TestSpecification,
  type Vitest,
} from 'vitest/node'

// a report says how to type a command again, and the tests start rethread themselves, not npm
delete process.env.npm_lifecycle_event

/** A name after -t that fits no test must not pass for a success. */
class NoNameFits implements Reporter {
  private pattern: RegExp | undefined

  onInit(vitest: Vitest) {
    this.pattern = vitest.config.testNamePattern
  }

  onTestRunEnd(modules: readonly TestModule[]) {
    const states = modules.flatMap(m => [...m.children.allTests()].map(t => t.result().state))
    if (!this.pattern || states.some(state => state !== 'skipped')) return
    process.exitCode = 1
    console.error(`No test ran: no name fits the regular expression ${this.pattern}\n`)
  }
}

/** The files that take longest: one that begins last would keep one worker busy and leave the other idle. */
const longest = [
  'variations',
  'machines',
  'concurrent',
  'tracks',
  'mutants',
  'strangers',
  'in_step',
  'matrix',
  'promises',
  'custom_track',
  'look_ahead',
  'failed_rows',
  'docs',
  'dual_write',
  'destruction',
  'resume',
  'cycle',
  'checks',
  'tutorials',
  'rehearse',
  'mishaps',
  'lifecycle',
  'cli',
  'bad_input',
  'locks',
  'pack',
  'attacks',
  'attacks_copied',
  'names',
  'least_privilege',
  'init_variations',
  'readme',
  'poolers',
  'layouts',
  'restore_random',
  'killed_everywhere',
  'killed',
]

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const at = longest.findIndex(name => moduleId.endsWith(`/${name}.test.ts`))
      return at < 0 ? longest.length : at
    }
    return (await super.sort(files)).sort((a, b) => place(a) - place(b))
  }
}

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/servers.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // two cores, of which stories that wait for servers and time-outs leave a third idle
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // as src/cli/main.ts does
    execArgv: ['--liftoff-only'],
    // what is built is run as it is, as Node runs it
    server: { deps: { external: [/\/dist\/.*\.js$/] } },
    // the one test that was asked for is not hidden among those that were left out
    hideSkippedTests: true,
    reporters: process.env.CI
      ? ['default', new NoNameFits(), ['json', { outputFile: '.rethread/test-results.json' }]]
      : ['default', new NoNameFits()],
  },
})
