-- An invented history of odd plays; answers.json holds what Tautulli 2.17.2 answered over it.
-- To be put into a database that tests.support.history.create has made.
DELETE FROM users;
INSERT INTO users (id, user_id, username)
  VALUES (1, 0, 'Local');
INSERT INTO users (id, user_id, username, friendly_name, thumb, custom_avatar_url)
  VALUES (2, 1, 'alice', 'Alice', 'https://plex.example/1', 'https://own.example/1');
INSERT INTO users (id, user_id, username, friendly_name, thumb)
  VALUES (3, 2, 'bob', '  ', 'https://plex.example/2');
INSERT INTO users (id, user_id, username, custom_avatar_url, deleted_user)
  VALUES (4, 3, 'carol', '', 1);
INSERT INTO library_sections (id, server_id, section_id, section_name, section_type)
  VALUES (1, 'ffffffffffffffffffffffffffffffffffffffff', 1, 'Films', 'movie');
INSERT INTO library_sections (id, server_id, section_id, section_name, section_type)
  VALUES (2, 'ffffffffffffffffffffffffffffffffffffffff', 2, 'Séries', 'show');
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (1, 1, 1616885999, 1616893199, 1387036, 1, 'alice', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 6840000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (2, 2, 1616886000, 1616893200, 1343826, 1, 'alice', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 6840000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (3, 3, 1616968799, 1616975999, 1734278, 2, 'bob', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 6840000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (4, 4, 1635640200, 1635647400, 1650091, 2, 'bob', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 6840000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (5, 5, 1635643800, 1635651000, 1758891, 2, 'bob', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 6840000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (6, 6, 1635719400, 1635726600, 1992726, 3, 'carol', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 6840000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (7, 7, 2193082200, 2193089400, 1433620, 1, 'alice', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 6840000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (8, 8, -7200, -10, 1231303, 77, 'gone', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 6840000);
INSERT INTO session_history (id, reference_id, started, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (9, 9, '', 1570489, 1, 'alice', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 6840000);
INSERT INTO session_history (id, reference_id, rating_key, user_id, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (10, 10, 1198696, 1, '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 6840000);
INSERT INTO session_history (id, reference_id, started, rating_key, user_id, user, ip_address, paused_counter, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (11, 11, 'soon', 1705453, 1, 'alice', '192.0.2.10', NULL, 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 6840000);
INSERT INTO session_history (id, reference_id, started, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (12, 12, 1601036800, 1243841, 1, 'alice', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Konvergo', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 6840000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (13, 13, 1601123200, 0, 1145944, 1, 'alice', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 7, 3700000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (14, 14, 1601209600, 1601216800, 1384418, 1, 'user1', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'osx', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 5000000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (15, 15, 1601296000, 1601298700, 1791828, 2, 'bob', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, 1745086, 1062141, 'episode', 2, 2565000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (16, 16, 1601382400, 1601382400, 1573825, 2, 'bob', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, 1745086, 1062141, 'episode', 2, NULL);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id)
  VALUES (17, 17, 1601468800, 1601468800, 1972688, 1, 'user1', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, 1319035, 1489202, 'episode', 999999);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (18, 18, 1601555200, 1601555400, 1535313, 1, 'user1', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'track', 1, 60000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id)
  VALUES (19, 19, 1601641600, 1601641600, 1118277, 1, 'user1', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'photo', 1);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (20, 20, 1601728000, 1601728100, 1223086, 1, 'user1', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'clip', 1, 45000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (21, 21, 1650000000, 1650001000, 1301049, 1, 'user1', '192.0.2.10', 'TV', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 1000000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (22, 21, 1650100000, 1650102000, 1301049, 1, 'user1', '192.0.2.10', 'Phone', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 3000000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (23, 21, 1650200000, 1650203000, 1908316, 1, 'user1', '192.0.2.10', 'Tablet', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 2000000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (24, 24, 1660000000, 1660007200, 1488997, 1, 'user1', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 6840000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (25, 25, 1660000000, 1660007200, 1488997, 1, 'user1', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 6840000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (26, 26, 1602246400, 1602253600, 1048916, 1, 'user1', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 6840000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (27, 27, 1602332800, 1602340000, 1887163, 1, 'user1', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 6840000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id)
  VALUES (28, 28, 1273053600, 1273053600, 1958954, 1, 'user1', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, section_id, view_offset)
  VALUES (29, 29, 1273140000, 1273147200, 1630468, 1, 'user1', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 1, 6840000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (30, 30, 1273226400, 1273233600, 1883246, 1, 'user1', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 6840000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (31, 31, 1273312800, 1273320000, 1705427, 1, 'user1', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'hologram', 1, 6840000);
INSERT INTO session_history (id, reference_id, started, stopped, rating_key, user_id, user, ip_address, player, product, product_version, platform, platform_version, profile, machine_id, bandwidth, location, quality_profile, secure, relayed, parent_rating_key, grandparent_rating_key, media_type, section_id, view_offset)
  VALUES (32, 32, 1273399200, 1273406400, 1819437, 1, 'user1', '192.0.2.10', 'Living room', 'Plex for Android (TV)', '9.1.0', 'Android', '', '', '0123456789abcdef', '', 'lan', '', 1, 0, '', '', 'movie', 1, 6840000);
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (1, 1387036, '', '', 'Before the clocks go forward', '', '', '', 'Before the clocks go forward', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/2084e5c7b0c7e2ffc65877b1');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (2, 1343826, '', '', 'As the day begins', '', '', '', 'As the day begins', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/a82a2922b23bf67aeef09142');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (3, 1734278, '', '', 'As the short day ends', '', '', '', 'As the short day ends', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/cb46491bac48aac4bc1303b8');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (4, 1650091, '', '', 'In the first hour of two', '', '', '', 'In the first hour of two', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/9f256e0918b26f3ba329417e');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (5, 1758891, '', '', 'In the second hour of two', '', '', '', 'In the second hour of two', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/97f4571733cf08de485cbd56');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (6, 1992726, '', '', 'As the long day ends', '', '', '', 'As the long day ends', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/da0824dba54fc47f84c04ac8');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (7, 1433620, '', '', 'Summer of 2039', '', '', '', 'Summer of 2039', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/17f6d235483079e6c705722b');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (8, 1231303, '', '', 'Before the epoch', '', '', '', 'Before the epoch', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/772a822680ba6bcb41a1a3a9');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (9, 1570489, '', '', 'Without a start', '', '', '', 'Without a start', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/1f1d32a94ed47ec2addaba05');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (10, 1198696, '', '', 'Started never', '', '', '', 'Started never', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/d5e6b0aaa7b806310903ad16');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (11, 1705453, '', '', 'Started soon', '', '', '', 'Started soon', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/06887baa4c276bc7822c1028');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (12, 1243841, '', '', '<b>"Tom & Jerry"</b> é', '', '', '', '<b>"Tom & Jerry"</b> é', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/4d7e1ac5800aa2bd293f32ae');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (13, 1145944, '', '', 'Midway', '', '', '', 'Midway', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/19df02055fa4fe63da044f80');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid, marker_credits_first, marker_credits_final)
  VALUES (14, 1384418, '', '', 'By the marker', '', '', '', 'By the marker', '', '', '', '', '', 'movie', '', '', '', 7200000, 'plex://movie/049aa9ed9b9c8b466ba706ad', 4900000, 6800000);
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (15, 1791828, 1745086, 1062141, 'Pilot', 'Season 1', 'A Show', '', 'A Show - Pilot', 1, 1, '/episode', '', '/show', 'episode', 2010, '2010-06-15', '', 2700000, 'plex://episode/b004877571019f1eeb4c0746');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (16, 1573825, 1745086, 1062141, 'Second', 'Season 1', 'A Show', '', 'A Show - Second', 2, 1, '/episode', '/season', '', 'episode', 2010, '2010-06-15', '', '', 'plex://episode/3d4a00aa3008c5dc69888e39');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, guid, live)
  VALUES (17, 1972688, 1319035, 1489202, 'Today', 'Season 1', 'The News', '', 'The News - Today', 1, 1, '', '', '', 'episode', 2010, '2010-06-15', '', 'live://1', 1);
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (18, 1535313, '', '', 'A Song', 'An Album', 'A Band', 'Others', 'A Song', '', '', '', '', '', 'track', 2010, '2010-06-15', '', 200000, 'plex://track/5a9aaa3e655377574a800506');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (19, 1118277, '', '', 'A Photo', '', '', '', 'A Photo', '', '', '', '', '', 'photo', 2010, '2010-06-15', '', '', 'plex://photo/ee83da1e920e55c400413ea0');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (20, 1223086, '', '', 'A Clip', '', '', '', 'A Clip', '', '', '', '', '', 'clip', 2010, '2010-06-15', '', 100000, 'plex://clip/7ec08cf3baca815b9e125232');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (21, 1301049, '', '', 'Resumed', '', '', '', 'Resumed', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/029d7e787cfa3a2daf295b91');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (22, 1301049, '', '', 'Resumed', '', '', '', 'Resumed', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/029d7e787cfa3a2daf295b91');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (23, 1908316, '', '', 'Another with that key', '', '', '', 'Another with that key', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/b873a4bd4aacaac62425e9ff');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (24, 1488997, '', '', 'Same second', '', '', '', 'Same second', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/eb6a1cdd1a2f839869ac2b06');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (25, 1488997, '', '', 'Same second', '', '', '', 'Same second', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/eb6a1cdd1a2f839869ac2b06');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (27, 1887163, '', '', 'Without media info', '', '', '', 'Without media info', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/b8c48e7c6df567c0d1cd1ec7');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, guid)
  VALUES (28, 1958954, '', '', 'Of no length', '', '', '', 'Of no length', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 'plex://movie/82b16afac733d0d76edc4706');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, year, originally_available_at, added_at, duration, guid)
  VALUES (29, 1630468, '', '', 'Of no kind', '', '', '', 'Of no kind', '', '', '', '', '', 2010, '2010-06-15', '', 7200000, 'plex://movie/0324537ff815e123dc89a847');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (30, 1883246, '', '', 'All is well', '', '', '', 'All is well', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/4c4bbf32fb50ac48bc4daa6b');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid)
  VALUES (31, 1705427, '', '', 'Of an unknown kind', '', '', '', 'Of an unknown kind', '', '', '', '', '', 'hologram', 2010, '2010-06-15', '', 7200000, 'plex://hologram/32cdc9283e8918e6f6ceca47');
INSERT INTO session_history_metadata (id, rating_key, parent_rating_key, grandparent_rating_key, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, parent_thumb, grandparent_thumb, media_type, year, originally_available_at, added_at, duration, guid, marker_credits_first)
  VALUES (32, 1819437, '', '', 'A marker that is none', '', '', '', 'A marker that is none', '', '', '', '', '', 'movie', 2010, '2010-06-15', '', 7200000, 'plex://movie/2fbe2120fa9db743466e6590', 'x');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (1, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (2, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (3, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (4, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (5, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (6, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (7, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (8, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (9, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (10, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (11, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (12, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (13, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (14, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (15, 'transcode');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (16, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (17, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (18, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (19, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (20, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (21, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (22, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (23, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (24, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (25, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (26, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (28, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (29, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (30, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (31, 'direct play');
INSERT INTO session_history_media_info (id, transcode_decision)
  VALUES (32, 'direct play');
INSERT INTO sessions (id, session_key, rating_key, section_id, media_type, started, stopped, state, user_id, user, friendly_name, ip_address, machine_id, location, player, product, platform, title, parent_title, grandparent_title, original_title, full_title, media_index, parent_media_index, thumb, year, parent_rating_key, grandparent_rating_key, originally_available_at, added_at, guid, view_offset, duration, transcode_decision, live, secure, relayed)
  VALUES (1, 7, 4001, 1, 'movie', 2200000000, 2200000100, 'playing', 1, 'alice', '', '192.0.2.1', 'm', 'lan', 'TV', 'Plex', 'Konvergo', 'Now', '', '', '', 'Now', '', '', '/now', 2001, '', '', '2001-01-01', '', 'plex://movie/now', 100000, 7200000, 'direct play', 0, 1, 0);
