public final class UserspaceDataplane {}
