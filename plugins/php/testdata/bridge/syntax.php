<?php
function broken(
