import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/servers.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // two cores: more files at once would only make the stories about time-outs flaky
    maxWorkers: 2,
    reporters: process.env.CI
      ? ['default', ['json', { outputFile: '.rethread/test-results.json' }]]
      : ['default'],
  },
})
