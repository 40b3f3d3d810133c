/* SPDX-License-Identifier: BSD-3-Clause */
/* The rows of positions.h, in the order of the discussions. Define POSITION() first; it may be
 * included more than once. */
POSITION(
    virtio_by_default_sees_all_memory, "000",
    "By default virtio means full access to guest memory, and the device is one more processor.",
    FACTS(LEGACY, ABSENT, NONE, 0, 0, ACCESS_ALL), DEVICE(DIRECT, PHYSICAL),
    DRIVER(DIRECT, NONE, PHYSICAL), AGREED(DIRECT, PHYSICAL))
POSITION(
    a_clear_bit_overrides_the_platform, "000",
    "ACCESS_PLATFORM clear overrides whatever the platform says of an IOMMU; vhost maps guest memory directly then.",
    FACTS(TRANSITIONAL, TRANSLATES, NONE, FLAG(MAY_BYPASS), ACCESS_V, ACCESS_ALL),
    DEVICE(DIRECT, PHYSICAL), DRIVER(DIRECT, NONE, PHYSICAL), AGREED(DIRECT, PHYSICAL))
POSITION(
    the_dma_interface_always_would_break_working_setups, "000",
    "Use the DMA interface without any condition? Not with a clear bit: legacy setups are setups that work.",
    FACTS(LEGACY, TRANSLATES, NONE, FLAG(MAY_BYPASS), 0, ACCESS_ALL), DEVICE(DIRECT, PHYSICAL),
    DRIVER(DIRECT, NONE, PHYSICAL), AGREED(DIRECT, PHYSICAL))
POSITION(when_in_doubt_access_platform, "000",
         "When in doubt offer ACCESS_PLATFORM: where nothing stands between, it costs nothing.",
         FACTS(MODERN, ABSENT, NONE, 0, ACCESS_V | ACCESS_P, ACCESS_ALL),
         DEVICE(DIRECT, UNTRANSLATED), DRIVER(DIRECT, NONE, UNTRANSLATED),
         AGREED(DIRECT, UNTRANSLATED))
POSITION(
    xen_without_access_platform, "000",
    "Xen was there before the bit and has its addresses without it: an exception, and the only one.",
    FACTS(LEGACY, TRANSLATES, NONE, FLAG(PLATFORM_ALWAYS), 0, ACCESS_ALL),
    DEVICE(IOMMU, TRANSLATED_ALWAYS), DRIVER(IOMMU, NONE, TRANSLATED_ALWAYS),
    AGREED(IOMMU, TRANSLATED_ALWAYS))
POSITION(xen_with_access_platform, "000", "Xen with the bit needs no exception.",
         FACTS(MODERN, TRANSLATES, NONE, FLAG(PLATFORM_ALWAYS), ACCESS_V | ACCESS_P, ACCESS_ALL),
         DEVICE(IOMMU, TRANSLATED), DRIVER(IOMMU, NONE, TRANSLATED), AGREED(IOMMU, TRANSLATED))
POSITION(sev_with_access_platform, "000",
         "SEV: the host knows from the start that memory is encrypted, and sets ACCESS_PLATFORM.",
         FACTS(MODERN, ABSENT, NONE, FLAG(HIDDEN), ACCESS_V | ACCESS_P, ACCESS_ALL),
         DEVICE(DIRECT, DRIVER_BOUNCES), DRIVER(SWIOTLB, ALL, BOUNCED_PLATFORM),
         AGREED(DIRECT, DRIVER_BOUNCES))
POSITION(sev_with_access_platform_and_an_iommu, "000",
         "SEV behind an IOMMU: mapping does not decrypt, so the bounce pool is what gets mapped.",
         FACTS(MODERN, TRANSLATES, NONE, FLAG(HIDDEN), ACCESS_V | ACCESS_P, ACCESS_ALL),
         DEVICE(IOMMU, TRANSLATED), DRIVER(IOMMU, ALL, TRANSLATED_HIDDEN),
         AGREED(IOMMU, TRANSLATED))
POSITION(
    sev_and_a_driver_without_access_platform, "000",
    "A host that cannot see all memory fails the initialisation gracefully when the bit is not accepted.",
    FACTS(MODERN, ABSENT, NONE, FLAG(HIDDEN), ACCESS_V | ACCESS_P, ACCESS_V),
    DEVICE(DIRECT, DRIVER_BOUNCES), DRIVER(SWIOTLB, ALL, BOUNCED_PHYSICAL),
    AGREED(NO_SPACE, PLATFORM_DECLINED))
POSITION(sev_with_a_legacy_device, "000",
         "SEV without the bit still works if the DMA address happens to be a physical address.",
         FACTS(LEGACY, ABSENT, NONE, FLAG(HIDDEN), 0, ACCESS_ALL), DEVICE(DIRECT, DRIVER_BOUNCES),
         DRIVER(SWIOTLB, ALL, BOUNCED_PHYSICAL), AGREED(DIRECT, DRIVER_BOUNCES))
POSITION(sev_with_a_legacy_device_behind_an_iommu, "000",
         "SEV, an IOMMU that is not 1:1, no bit: fail the probe rather than corrupt guest memory.",
         FACTS(LEGACY, TRANSLATES, NONE, FLAG(MAY_BYPASS) | FLAG(HIDDEN), 0, ACCESS_ALL),
         DEVICE(DIRECT, DRIVER_BOUNCES), DRIVER(NO_SPACE, NONE, NOT_PHYSICAL), NOT_ASKED)
POSITION(
    part_of_memory_is_shared_for_good, "000",
    "All memory that virtio touches could be left unencrypted; then nothing needs to be copied.",
    FACTS(TRANSITIONAL, ABSENT, NONE, 0, ACCESS_V, ACCESS_ALL), DEVICE(DIRECT, PHYSICAL),
    DRIVER(DIRECT, NONE, PHYSICAL), AGREED(DIRECT, PHYSICAL))
POSITION(
    power_secure_guest_with_a_legacy_device, "000",
    "POWER: bounce by physical address, the IOMMU has a 1:1 window; the device sees no difference.",
    FACTS(LEGACY, IDENTITY, NONE, FLAG(HIDDEN) | FLAG(HIDDEN_LATE), 0, ACCESS_ALL),
    DEVICE(DIRECT, PHYSICAL), DRIVER(SWIOTLB, ALL, BOUNCED_PHYSICAL), AGREED(DIRECT, PHYSICAL))
POSITION(power_secure_guest_where_addresses_are_not_physical, "000",
         "... and refuse where the platform would give the pool an address that is not physical.",
         FACTS(LEGACY, TRANSLATES, NONE, FLAG(MAY_BYPASS) | FLAG(HIDDEN) | FLAG(HIDDEN_LATE), 0,
               ACCESS_ALL),
         DEVICE(DIRECT, PHYSICAL), DRIVER(NO_SPACE, NONE, NOT_PHYSICAL), NOT_ASKED)
POSITION(
    power_secure_guest_behind_a_bus_offset, "000",
    "A promise that DMA addresses are physical is needed with any legacy device, IOMMU or not.",
    FACTS(LEGACY, ABSENT, NONE, FLAG(HIDDEN) | FLAG(HIDDEN_LATE) | FLAG(ADDRESSES_DIFFER), 0,
          ACCESS_ALL),
    DEVICE(DIRECT, PHYSICAL), DRIVER(NO_SPACE, NONE, NOT_PHYSICAL), NOT_ASKED)
POSITION(
    secure_mode_is_the_guests_own_affair, "000",
    "The guest hides its memory from the host by itself, and bounces by itself; QEMU need not know.",
    FACTS(MODERN, IDENTITY, NONE, FLAG(HIDDEN) | FLAG(HIDDEN_LATE), ACCESS_V, ACCESS_ALL),
    DEVICE(DIRECT, PHYSICAL), DRIVER(SWIOTLB, ALL, BOUNCED_PHYSICAL), AGREED(DIRECT, PHYSICAL))
POSITION(power_ordinary_guest_with_a_legacy_device, "000",
         "An ordinary guest on the same machine keeps its speed: no DMA interface, nothing copied.",
         FACTS(LEGACY, IDENTITY, NONE, 0, 0, ACCESS_ALL), DEVICE(DIRECT, PHYSICAL),
         DRIVER(DIRECT, NONE, PHYSICAL), AGREED(DIRECT, PHYSICAL))
POSITION(access_platform_offered_and_not_required, "000",
         "Present the bit as available, not required; guest platform code knows that it needs it.",
         FACTS(MODERN, IDENTITY, NONE, FLAG(HIDDEN) | FLAG(HIDDEN_LATE), ACCESS_V | ACCESS_P,
               ACCESS_ALL),
         DEVICE(DIRECT, IDENTITY), DRIVER(SWIOTLB, ALL, BOUNCED_PLATFORM), AGREED(DIRECT, IDENTITY))
POSITION(access_platform_for_all_slows_ordinary_guests, "000",
         "Offered to all, ordinary guests accept it too, and go through the slow emulated IOMMU.",
         FACTS(MODERN, TRANSLATES, NONE, FLAG(MAY_BYPASS), ACCESS_V | ACCESS_P, ACCESS_ALL),
         DEVICE(IOMMU, TRANSLATED), DRIVER(IOMMU, NONE, TRANSLATED), AGREED(IOMMU, TRANSLATED))
POSITION(
    a_guest_that_leaves_access_platform_alone, "000",
    "... unless one takes the initiative of not accepting it; the device may bypass the IOMMU then.",
    FACTS(MODERN, TRANSLATES, NONE, FLAG(MAY_BYPASS), ACCESS_V | ACCESS_P, ACCESS_V | ACCESS_O),
    DEVICE(IOMMU, TRANSLATED), DRIVER(DIRECT, NONE, PHYSICAL), AGREED(DIRECT, PHYSICAL))
POSITION(a_secure_guest_that_leaves_access_platform_alone, "000",
         "... which a guest with hidden memory behind an IOMMU must not do.",
         FACTS(MODERN, TRANSLATES, NONE, FLAG(MAY_BYPASS) | FLAG(HIDDEN) | FLAG(HIDDEN_LATE),
               ACCESS_V | ACCESS_P, ACCESS_V | ACCESS_O),
         DEVICE(IOMMU, TRANSLATED), DRIVER(NO_SPACE, NONE, NOT_PHYSICAL), NOT_ASKED)
POSITION(
    a_guest_older_than_access_platform, "000",
    "Guests of before the bit, still supported, cannot use a device that requires it; one that only offers it they can.",
    FACTS(MODERN, IDENTITY, NONE, 0, ACCESS_V | ACCESS_P, ACCESS_V), DEVICE(DIRECT, IDENTITY),
    DRIVER(DIRECT, NONE, PHYSICAL), AGREED(DIRECT, PHYSICAL))
POSITION(boot_firmware_without_access_platform, "000",
         "The boot firmware does not know the bit: it cannot boot from a device that requires it.",
         FACTS(MODERN, TRANSLATES, NONE, 0, ACCESS_V | ACCESS_P, ACCESS_V),
         DEVICE(IOMMU, TRANSLATED), DRIVER(DIRECT, NONE, PHYSICAL),
         AGREED(NO_SPACE, PLATFORM_DECLINED))
POSITION(
    a_bit_no_iommu, "000",
    "A new bit \"ACCESS_PLATFORM_NO_IOMMU\"? ACCESS_PLATFORM with the IOMMU bypassed says the same.",
    FACTS(MODERN, BYPASSED, NONE, FLAG(HIDDEN) | FLAG(HIDDEN_LATE), ACCESS_V | ACCESS_P,
          ACCESS_ALL),
    DEVICE(DIRECT, BYPASSED), DRIVER(SWIOTLB, ALL, BOUNCED_PLATFORM), AGREED(DIRECT, BYPASSED))
POSITION(
    a_bit_no_translation, "000",
    "A new bit \"NO_TRANSLATION\"? Whether addresses are translated is the platform's to say, not the bit's.",
    FACTS(MODERN, IDENTITY, NONE, 0, ACCESS_V | ACCESS_P, ACCESS_ALL), DEVICE(DIRECT, IDENTITY),
    DRIVER(DIRECT, NONE, IDENTITY), AGREED(DIRECT, IDENTITY))
POSITION(
    a_bit_identity_address, "000",
    "A new bit \"IDENTITY_ADDRESS\", with ACCESS_PLATFORM: a promise of the guest; the space is the same without it.",
    FACTS(MODERN, IDENTITY, NONE, FLAG(HIDDEN) | FLAG(HIDDEN_LATE), ACCESS_V | ACCESS_P | ACCESS_O,
          ACCESS_ALL),
    DEVICE(DIRECT, IDENTITY), DRIVER(SWIOTLB, ALL, BOUNCED_PLATFORM), AGREED(DIRECT, IDENTITY))
POSITION(an_identity_has_a_width, "000",
         "Is an identity subject to the width of addresses? It is: what lies beyond is bounced.",
         REACH(MODERN, IDENTITY, NONE, 0, ACCESS_V | ACCESS_P, ACCESS_ALL, 40, 48),
         DEVICE(DIRECT, IDENTITY), DRIVER(DIRECT, SOME, IDENTITY), AGREED(DIRECT, IDENTITY))
POSITION(an_iommu_needs_a_bypass, "000",
         "Some IOMMUs have no pass-through; with virtio-iommu a device in no domain can bypass it.",
         FACTS(MODERN, TRANSLATES, NONE, FLAG(MAY_BYPASS) | FLAG(IOMMU_ALIEN), ACCESS_V | ACCESS_P,
               ACCESS_ALL),
         DEVICE(IOMMU, TRANSLATED), DRIVER(DIRECT, NONE, BYPASSED), AGREED(IOMMU, TRANSLATED))
POSITION(
    bypass_is_for_the_device_to_offer, "000",
    "The bypass should be what the device offers, not translation: with the bit, it is the IOMMU's to grant.",
    FACTS(MODERN, BYPASSED, NONE, 0, ACCESS_V | ACCESS_P, ACCESS_ALL), DEVICE(DIRECT, BYPASSED),
    DRIVER(DIRECT, NONE, BYPASSED), AGREED(DIRECT, BYPASSED))
POSITION(a_driver_in_guest_userspace, "000",
         "The bit was made for drivers that are not trusted to pass correct addresses.",
         FACTS(MODERN, TRANSLATES, NONE, FLAG(UNPRIVILEGED), ACCESS_V | ACCESS_P, ACCESS_ALL),
         DEVICE(IOMMU, TRANSLATED), DRIVER(IOMMU, NONE, TRANSLATED), AGREED(IOMMU, TRANSLATED))
POSITION(
    a_driver_in_guest_userspace_cannot_drop_translation, "000",
    "Such a driver writes the features itself: the host must deny it a device without the bit.",
    FACTS(MODERN, TRANSLATES, NONE, FLAG(MAY_BYPASS) | FLAG(UNPRIVILEGED), ACCESS_V | ACCESS_P,
          ACCESS_V),
    DEVICE(IOMMU, TRANSLATED), DRIVER(NO_SPACE, NONE, NOT_CONFINED), NOT_ASKED)
POSITION(
    a_driver_in_guest_userspace_on_an_identity, "000",
    "Can it reach any physical address without translation? It can; so it does not get the device.",
    FACTS(MODERN, IDENTITY, NONE, FLAG(UNPRIVILEGED), ACCESS_V | ACCESS_P, ACCESS_ALL),
    DEVICE(NO_SPACE, NOT_CONFINED), NOT_ASKED, NOT_ASKED)
POSITION(a_hardware_device_says_that_it_is_real, "000",
         "Hardware says: I am real, take no shortcut.",
         FACTS(MODERN, TRANSLATES, NONE, FLAG(HARDWARE) | FLAG(ORDER_NEEDED),
               ACCESS_V | ACCESS_P | ACCESS_O, ACCESS_ALL),
         DEVICE(IOMMU, TRANSLATED), DRIVER(IOMMU, NONE, TRANSLATED), AGREED(IOMMU, TRANSLATED))
POSITION(
    a_hardware_device_that_does_not_say_so, "000",
    "Hardware behind an IOMMU without the bit: physical addresses would be translated into anything.",
    FACTS(MODERN, TRANSLATES, NONE, FLAG(HARDWARE), ACCESS_V, ACCESS_ALL),
    DEVICE(NO_SPACE, PLATFORM_MISSING), NOT_ASKED, NOT_ASKED)
POSITION(
    virtio_and_passthrough_behind_one_iommu, "000",
    "Some machines have passed-through and virtio devices behind one IOMMU, of which virtio knows nothing.",
    FACTS(MODERN, TRANSLATES, NONE, FLAG(MAY_BYPASS), ACCESS_V, ACCESS_ALL),
    DEVICE(DIRECT, PHYSICAL), DRIVER(DIRECT, NONE, PHYSICAL), AGREED(DIRECT, PHYSICAL))
POSITION(a_machine_that_separates_them, "000",
         "Have a new machine that separates the two, and make it mandatory for secure guests.",
         FACTS(MODERN, ABSENT, NONE, FLAG(HIDDEN) | FLAG(HIDDEN_LATE), ACCESS_V | ACCESS_P,
               ACCESS_ALL),
         DEVICE(DIRECT, UNTRANSLATED), DRIVER(SWIOTLB, ALL, BOUNCED_PLATFORM),
         AGREED(DIRECT, UNTRANSLATED))
POSITION(
    bouncing_is_not_translation, "000",
    "Bouncing is a decision local to the guest, translation is the device's to enforce: two things, both at once.",
    FACTS(MODERN, TRANSLATES, NONE, FLAG(HIDDEN) | FLAG(HIDDEN_LATE), ACCESS_V | ACCESS_P,
          ACCESS_ALL),
    DEVICE(IOMMU, TRANSLATED), DRIVER(IOMMU, ALL, TRANSLATED_HIDDEN), AGREED(IOMMU, TRANSLATED))
POSITION(a_legacy_device_asking_for_access_platform, "000",
         "The bit is for devices with 64 feature bits.",
         FACTS(LEGACY, TRANSLATES, NONE, 0, ACCESS_P, ACCESS_ALL),
         DEVICE(NO_SPACE, LEGACY_PLATFORM), NOT_ASKED, NOT_ASKED)
POSITION(pseries_translates_by_default, "002",
         "New pseries machines: ACCESS_PLATFORM on, legacy off.",
         FACTS(MODERN, TRANSLATES, NONE, 0, ACCESS_V | ACCESS_P, ACCESS_ALL),
         DEVICE(IOMMU, TRANSLATED), DRIVER(IOMMU, NONE, TRANSLATED), AGREED(IOMMU, TRANSLATED))
POSITION(pseries_by_default_and_a_guest_without_access_platform, "002",
         "... breaks guests that know modern virtio and not the bit,",
         FACTS(MODERN, TRANSLATES, NONE, 0, ACCESS_V | ACCESS_P, ACCESS_V | ACCESS_O),
         DEVICE(IOMMU, TRANSLATED), DRIVER(DIRECT, NONE, PHYSICAL),
         AGREED(NO_SPACE, PLATFORM_DECLINED))
POSITION(pseries_by_default_and_a_legacy_guest, "002",
         "... and guests that only know legacy virtio, which are still supported.",
         FACTS(MODERN, TRANSLATES, NONE, 0, ACCESS_V | ACCESS_P, 0), DEVICE(IOMMU, TRANSLATED),
         DRIVER(NO_SPACE, NONE, DRIVER_OLD), NOT_ASKED)
POSITION(pseries_before_and_a_legacy_guest, "002",
         "An older machine type, or an option of the new one, still has them.",
         FACTS(TRANSITIONAL, TRANSLATES, NONE, FLAG(MAY_BYPASS), ACCESS_V, 0),
         DEVICE(DIRECT, PHYSICAL), DRIVER(DIRECT, NONE, PHYSICAL), AGREED(DIRECT, PHYSICAL))
POSITION(pseries_before_and_a_secure_guest, "002",
         "A guest that wants secure mode cannot have legacy virtio.",
         FACTS(TRANSITIONAL, TRANSLATES, NONE, FLAG(MAY_BYPASS) | FLAG(HIDDEN) | FLAG(HIDDEN_LATE),
               ACCESS_V, ACCESS_ALL),
         DEVICE(DIRECT, PHYSICAL), DRIVER(NO_SPACE, NONE, NOT_PHYSICAL), NOT_ASKED)
POSITION(
    pseries_by_default_and_a_secure_guest, "002",
    "Nobody can tell in time whether a guest will be secure; with translation on it need not be known.",
    FACTS(MODERN, TRANSLATES, NONE, FLAG(HIDDEN) | FLAG(HIDDEN_LATE),
          ACCESS_V | ACCESS_P | ACCESS_O, ACCESS_ALL),
    DEVICE(IOMMU, TRANSLATED), DRIVER(IOMMU, ALL, TRANSLATED_HIDDEN), AGREED(IOMMU, TRANSLATED))
POSITION(a_transitional_device_asking_for_access_platform, "002",
         "Why not a transitional device? Its legacy interface cannot show the bit.",
         FACTS(TRANSITIONAL, TRANSLATES, NONE, 0, ACCESS_V | ACCESS_P, ACCESS_ALL),
         DEVICE(NO_SPACE, LEGACY_PLATFORM), NOT_ASKED, NOT_ASKED)
POSITION(secure_mode_as_an_option_of_the_machine, "002",
         "Tie the defaults to an option that permits secure mode: then the host knows at creation,",
         FACTS(MODERN, TRANSLATES, NONE, FLAG(HIDDEN), ACCESS_V | ACCESS_P | ACCESS_O, ACCESS_ALL),
         DEVICE(IOMMU, TRANSLATED), DRIVER(IOMMU, ALL, TRANSLATED_HIDDEN),
         AGREED(IOMMU, TRANSLATED))
POSITION(secure_mode_that_nobody_opted_in_to, "002",
         "... and users of the old defaults are not broken by a feature that they do not use.",
         FACTS(TRANSITIONAL, IDENTITY, NONE, 0, ACCESS_V, 0), DEVICE(DIRECT, PHYSICAL),
         DRIVER(DIRECT, NONE, PHYSICAL), AGREED(DIRECT, PHYSICAL))
POSITION(a_pool_in_the_device_tree, "003",
         "restricted-dma-pool: the guest's DMA layer uses the pool, the driver never notices.",
         FACTS(MODERN, ABSENT, SYSTEM, FLAG(POOL_ONLY) | FLAG(POOL_FORCED), ACCESS_V,
               ACCESS_V | ACCESS_P),
         DEVICE(SWIOTLB, FORCED), DRIVER(SWIOTLB, ALL, FORCED), AGREED(SWIOTLB, FORCED))
POSITION(a_pool_in_the_device_tree_and_a_legacy_driver, "003",
         "... that works with virtio-mmio as it is; there is nothing to fix.",
         FACTS(LEGACY, ABSENT, SYSTEM, FLAG(POOL_ONLY) | FLAG(POOL_FORCED), 0, 0),
         DEVICE(SWIOTLB, FORCED), DRIVER(SWIOTLB, ALL, FORCED), AGREED(SWIOTLB, FORCED))
POSITION(
    a_guest_that_ignores_the_device_tree, "003",
    "A guest that ignores the node does DMA anyway, and fails: so a device needs a way to refuse.",
    FACTS(MODERN, ABSENT, SYSTEM, FLAG(POOL_ONLY), ACCESS_V, ACCESS_V),
    DEVICE(NO_SPACE, POOL_UNANNOUNCED), NOT_ASKED, NOT_ASKED)
POSITION(restricted_dma_is_negotiated, "003",
         "The bit: the driver promises to pass only addresses in the pool.",
         FACTS(MODERN, ABSENT, SYSTEM, FLAG(POOL_ONLY), ACCESS_V | ACCESS_R, ACCESS_ALL),
         DEVICE(SWIOTLB, RESTRICTED), DRIVER(SWIOTLB, ALL, RESTRICTED), AGREED(SWIOTLB, RESTRICTED))
POSITION(a_driver_that_does_not_know_restricted_dma, "003",
         "\"Don't touch me if you don't understand my restrictions\": refuse at FEATURES_OK.",
         FACTS(MODERN, ABSENT, SYSTEM, FLAG(POOL_ONLY), ACCESS_V | ACCESS_R,
               ACCESS_V | ACCESS_P | ACCESS_O),
         DEVICE(SWIOTLB, RESTRICTED), DRIVER(DIRECT, NONE, PHYSICAL),
         AGREED(NO_SPACE, POOL_DECLINED))
POSITION(
    an_older_driver_that_ignores_the_pool_and_is_forced, "003",
    "To force the bit breaks guests that work: the device may accept, and hope that the platform uses the pool.",
    FACTS(MODERN, ABSENT, SYSTEM, FLAG(POOL_ONLY) | FLAG(POOL_FORCED), ACCESS_V | ACCESS_R,
          ACCESS_V | ACCESS_P | ACCESS_O),
    DEVICE(SWIOTLB, RESTRICTED), DRIVER(SWIOTLB, ALL, FORCED), AGREED(SWIOTLB, FORCED))
POSITION(
    a_pool_on_the_device, "003",
    "A BAR to stage through, for a device that does no DMA: offsets into it, not fake DMA to itself.",
    FACTS(MODERN, ABSENT, DEVICE, FLAG(POOL_ONLY), ACCESS_V | ACCESS_R, ACCESS_ALL),
    DEVICE(BAR, RESTRICTED_DEVICE), DRIVER(BAR, ALL, RESTRICTED_DEVICE),
    AGREED(BAR, RESTRICTED_DEVICE))
POSITION(a_pool_in_host_memory_is_faster, "003",
         "Why not in host memory? The processor reaches it ten times faster than a BAR.",
         FACTS(MODERN, ABSENT, SYSTEM, FLAG(POOL_ONLY) | FLAG(HIDDEN), ACCESS_V | ACCESS_R,
               ACCESS_ALL),
         DEVICE(SWIOTLB, RESTRICTED), DRIVER(SWIOTLB, ALL, RESTRICTED), AGREED(SWIOTLB, RESTRICTED))
POSITION(
    the_device_region_is_not_behind_the_iommu, "003",
    "A BAR of the device is on the device's side of any IOMMU: its offsets are not translated.",
    FACTS(MODERN, TRANSLATES, DEVICE, FLAG(POOL_ONLY) | FLAG(IOMMU_ALIEN),
          ACCESS_V | ACCESS_P | ACCESS_R, ACCESS_ALL),
    DEVICE(IOMMU, TRANSLATED), DRIVER(BAR, ALL, RESTRICTED_DEVICE), AGREED(BAR, RESTRICTED_DEVICE))
POSITION(
    the_two_features_are_orthogonal, "003",
    "Keep features orthogonal: both may be set, and the pool's addresses are the same either way.",
    FACTS(MODERN, ABSENT, DEVICE, FLAG(POOL_ONLY), ACCESS_V | ACCESS_P | ACCESS_R, ACCESS_ALL),
    DEVICE(BAR, RESTRICTED_DEVICE), DRIVER(BAR, ALL, RESTRICTED_DEVICE),
    AGREED(BAR, RESTRICTED_DEVICE))
POSITION(staging_for_parts_of_a_transfer, "003",
         "Do not switch all addressing: staging is used for some transfers, or for parts of one.",
         FACTS(MODERN, ABSENT, DEVICE, 0, ACCESS_V | ACCESS_P, ACCESS_ALL),
         DEVICE(DIRECT, UNTRANSLATED), DRIVER(DIRECT, NONE, UNTRANSLATED),
         AGREED(DIRECT, UNTRANSLATED))
POSITION(staging_beside_an_iommu, "003", "... peer-to-peer too, beside DMA through an IOMMU.",
         FACTS(MODERN, TRANSLATES, DEVICE, FLAG(HARDWARE), ACCESS_V | ACCESS_P | ACCESS_O,
               ACCESS_ALL),
         DEVICE(IOMMU, TRANSLATED), DRIVER(IOMMU, NONE, TRANSLATED), AGREED(IOMMU, TRANSLATED))
POSITION(hardware_that_need_not_be_trusted, "003",
         "No IOMMU, and you do not trust me? Disable my bus mastering and use the region.",
         FACTS(MODERN, ABSENT, DEVICE, FLAG(HARDWARE), ACCESS_V | ACCESS_P | ACCESS_O | ACCESS_R,
               ACCESS_ALL),
         DEVICE(BAR, RESTRICTED_DEVICE), DRIVER(BAR, ALL, RESTRICTED_DEVICE),
         AGREED(BAR, RESTRICTED_DEVICE))
POSITION(an_iommu_and_a_pool_and_the_iommu_can_be_driven, "003",
         "Both set: you know how to drive the IOMMU? Go ahead and use it.",
         FACTS(MODERN, TRANSLATES, SYSTEM, FLAG(POOL_ONLY), ACCESS_V | ACCESS_P | ACCESS_R,
               ACCESS_ALL),
         DEVICE(IOMMU, TRANSLATED), DRIVER(IOMMU, NONE, TRANSLATED), AGREED(IOMMU, TRANSLATED))
POSITION(an_iommu_and_a_pool_and_the_iommu_cannot_be_driven, "003", "... otherwise use the pool.",
         FACTS(MODERN, TRANSLATES, SYSTEM, FLAG(POOL_ONLY) | FLAG(IOMMU_ALIEN),
               ACCESS_V | ACCESS_P | ACCESS_R, ACCESS_ALL),
         DEVICE(IOMMU, TRANSLATED), DRIVER(SWIOTLB, ALL, RESTRICTED), AGREED(SWIOTLB, RESTRICTED))
POSITION(an_iommu_and_a_pool_and_a_driver_that_knows_neither, "003",
         "... and who knows neither is refused.",
         FACTS(MODERN, TRANSLATES, SYSTEM, FLAG(POOL_ONLY), ACCESS_V | ACCESS_P | ACCESS_R,
               ACCESS_V),
         DEVICE(IOMMU, TRANSLATED), DRIVER(DIRECT, NONE, PHYSICAL), AGREED(NO_SPACE, BOTH_DECLINED))
POSITION(an_iommu_and_a_pool_and_memory_it_cannot_share, "003",
         "An IOMMU that the untrusted part emulates opens no hidden memory: the pool remains.",
         FACTS(MODERN, TRANSLATES, SYSTEM, FLAG(POOL_ONLY) | FLAG(HIDDEN),
               ACCESS_V | ACCESS_P | ACCESS_R, ACCESS_ALL),
         DEVICE(SWIOTLB, RESTRICTED), DRIVER(SWIOTLB, ALL, RESTRICTED), AGREED(SWIOTLB, RESTRICTED))
POSITION(an_iommu_of_the_trusted_hypervisor, "003",
         "virtio-iommu in the trusted part: mapping is sharing, and nothing needs to be copied.",
         FACTS(MODERN, TRANSLATES, NONE, FLAG(HIDDEN) | FLAG(IOMMU_SHARES), ACCESS_V | ACCESS_P,
               ACCESS_ALL),
         DEVICE(IOMMU, TRANSLATED), DRIVER(IOMMU, NONE, TRANSLATED), AGREED(IOMMU, TRANSLATED))
POSITION(an_iommu_of_the_trusted_hypervisor_and_a_pool, "003",
         "... where there is a pool too, it is for those who cannot drive that IOMMU.",
         FACTS(MODERN, TRANSLATES, SYSTEM, FLAG(POOL_ONLY) | FLAG(HIDDEN) | FLAG(IOMMU_SHARES),
               ACCESS_V | ACCESS_P | ACCESS_R, ACCESS_ALL),
         DEVICE(IOMMU, TRANSLATED), DRIVER(IOMMU, NONE, TRANSLATED), AGREED(IOMMU, TRANSLATED))
POSITION(passed_through_hardware_behind_two_stages, "003",
         "Physical devices are fine: a two-stage IOMMU lets them at what the guest maps.",
         FACTS(MODERN, TRANSLATES, NONE, FLAG(HARDWARE) | FLAG(HIDDEN) | FLAG(IOMMU_SHARES),
               ACCESS_V | ACCESS_P | ACCESS_O, ACCESS_ALL),
         DEVICE(IOMMU, TRANSLATED), DRIVER(IOMMU, NONE, TRANSLATED), AGREED(IOMMU, TRANSLATED))
POSITION(an_iommu_that_blocks_everything, "003",
         "Put virtual devices behind a stub that blocks all access: how does data get out then?",
         FACTS(MODERN, TRANSLATES, NONE, FLAG(HIDDEN) | FLAG(IOMMU_ALIEN), ACCESS_V | ACCESS_P,
               ACCESS_ALL),
         DEVICE(IOMMU, TRANSLATED), DRIVER(NO_SPACE, NONE, ALIEN), NOT_ASKED)
POSITION(an_iommu_that_blocks_everything_and_a_pool_of_the_system, "003",
         "Through a shared pool in host memory that the system describes.",
         FACTS(MODERN, TRANSLATES, SYSTEM, FLAG(HIDDEN) | FLAG(IOMMU_ALIEN) | FLAG(POOL_FORCED),
               ACCESS_V | ACCESS_P, ACCESS_ALL),
         DEVICE(IOMMU, TRANSLATED), DRIVER(SWIOTLB, ALL, FORCED), AGREED(SWIOTLB, FORCED))
POSITION(the_limit_is_the_systems_not_the_devices, "003",
         "What devices may reach is for ACPI or DT to say, not for virtio.",
         FACTS(MODERN, ABSENT, SYSTEM, FLAG(HIDDEN) | FLAG(POOL_FORCED), ACCESS_V, ACCESS_ALL),
         DEVICE(SWIOTLB, FORCED), DRIVER(SWIOTLB, ALL, FORCED), AGREED(SWIOTLB, FORCED))
POSITION(a_pool_for_every_device, "003",
         "A pool marked as the default, for all devices without a better way.",
         FACTS(MODERN, ABSENT, SYSTEM, FLAG(POOL_FORCED), ACCESS_V, ACCESS_V),
         DEVICE(SWIOTLB, FORCED), DRIVER(SWIOTLB, ALL, FORCED), AGREED(SWIOTLB, FORCED))
POSITION(a_device_states_the_range_it_reaches, "003",
         "Registers list the range that the device reaches; the bit is the promise to keep to it.",
         REACH(MODERN, ABSENT, SYSTEM, FLAG(POOL_ONLY), ACCESS_V | ACCESS_R, ACCESS_ALL, 40, 48),
         DEVICE(SWIOTLB, RESTRICTED), DRIVER(SWIOTLB, ALL, RESTRICTED), AGREED(SWIOTLB, RESTRICTED))
POSITION(a_legacy_balloon_reaches_48_bits, "003",
         "The legacy balloon reaches 48 bits: useful as long as the driver uses no address beyond.",
         REACH(LEGACY, ABSENT, NONE, 0, 0, ACCESS_ALL, 48, 52), DEVICE(DIRECT, PHYSICAL),
         DRIVER(DIRECT, SOME, PHYSICAL), AGREED(DIRECT, PHYSICAL))
POSITION(an_enlightened_guest_shares_pages, "003",
         "The guest calls the hypervisor to share pages: no bit for a pool is needed.",
         FACTS(MODERN, ABSENT, NONE, FLAG(HIDDEN), ACCESS_V | ACCESS_P | ACCESS_O, ACCESS_ALL),
         DEVICE(DIRECT, DRIVER_BOUNCES), DRIVER(SWIOTLB, ALL, BOUNCED_PLATFORM),
         AGREED(DIRECT, DRIVER_BOUNCES))
POSITION(encrypted_buffers_still_have_to_lie_somewhere, "003",
         "Encrypt the buffers instead? The device still cannot read them where it reaches nothing.",
         FACTS(MODERN, ABSENT, SYSTEM, FLAG(POOL_ONLY) | FLAG(HIDDEN), ACCESS_V | ACCESS_R,
               ACCESS_V),
         DEVICE(SWIOTLB, RESTRICTED), DRIVER(SWIOTLB, ALL, BOUNCED_PHYSICAL),
         AGREED(NO_SPACE, POOL_DECLINED))
POSITION(bit_27_of_a_legacy_device_is_any_layout, "003",
         "The number that was proposed is a legacy bit: there it says nothing of a pool.",
         FACTS(LEGACY, ABSENT, SYSTEM, 0, ACCESS_R, ACCESS_ALL), DEVICE(DIRECT, PHYSICAL),
         DRIVER(DIRECT, NONE, PHYSICAL), AGREED(DIRECT, PHYSICAL))
POSITION(a_transitional_device_restricted_to_a_pool, "003",
         "... so a device that reaches only a pool has no legacy interface.",
         FACTS(TRANSITIONAL, ABSENT, SYSTEM, FLAG(POOL_ONLY), ACCESS_V | ACCESS_R, ACCESS_ALL),
         DEVICE(NO_SPACE, POOL_LEGACY), NOT_ASKED, NOT_ASKED)
POSITION(order_platform_is_accepted, "003",
         "A driver should accept ORDER_PLATFORM if it is offered.",
         FACTS(MODERN, ABSENT, NONE, 0, ACCESS_V | ACCESS_P | ACCESS_O, ACCESS_ALL),
         DEVICE(DIRECT, UNTRANSLATED), DRIVER(DIRECT, NONE, UNTRANSLATED),
         AGREED(DIRECT, UNTRANSLATED))
POSITION(order_platform_is_declined, "003",
         "... and hardware that relies on it may refuse who does not.",
         FACTS(MODERN, ABSENT, NONE, FLAG(HARDWARE) | FLAG(ORDER_NEEDED), ACCESS_V | ACCESS_O,
               ACCESS_V),
         DEVICE(DIRECT, PHYSICAL), DRIVER(DIRECT, NONE, PHYSICAL), AGREED(NO_SPACE, ORDER_DECLINED))
