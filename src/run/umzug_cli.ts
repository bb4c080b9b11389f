// umzug has a command line of its own, which loads a hundred modules that are not used here. The build
// replaces it by this file. Commands that apply something start 80 ms sooner and need 15 MB less.

/** A class that umzug's command line extends. */
export class CommandLineParser {}

/** A class that umzug's commands extend. */
export class CommandLineAction {}
